"""A link on its way to a media: fetched once for the messages that wait for it, kept like an upload that no user owns."""

import asyncio
import base64
import uuid
from functools import partial

import structlog

from satchel.db import CommitUnknown, Tx, providers, settings
from satchel.db import media as rows
from satchel.db.providers import Provider
from satchel.domain.errors import LINK_FAILED, Fault
from satchel.domain.media import Media, is_mime
from satchel.egress.fetching import Credentials
from satchel.flows import Ports
from satchel.flows.media_node import key_of

log = structlog.get_logger("satchel.flows")
UNKNOWN = "application/octet-stream"


async def fetch(ports: Ports, link: str, provider: str | None) -> Media:
    """The file behind a link as a media of direction `link`; the same bytes are one media, however many links lead to them.

    Raises `Fault(LINK_FAILED | LINK_TOO_LARGE)` for good, `Later(LINK_FAILED)` for what may pass, and what the volume raises.
    """
    credentials = await _credentials(ports, provider)
    media_id = str(uuid.uuid4())
    async with ports.egress.fetch(link, credentials, ports.limits.upload) as fetched:
        stored = await ports.volume.put(key_of(media_id), fetched.blocks, fetched.length, urgent=True)
        mime = fetched.mime if is_mime(fetched.mime) else UNKNOWN
    made = Media(media_id, mime, stored.size, stored.sha256, stored.stamp)
    stands = await _kept(ports, made)
    log.info("link_fetched", media_id=stands.id, mime=stands.mime, size=stands.size, known=stands.id != media_id)
    return stands


async def _kept(ports: Ports, made: Media) -> Media:
    """The row that stands; where an earlier link brought the same bytes, its media, and ours goes."""
    try:
        if not made.size:
            raise Fault(LINK_FAILED, "The link led to an empty file: put the file there, then send again.")
        stands = await ports.db.write(partial(_publish, made=made))
    except (CommitUnknown, asyncio.CancelledError):
        raise  # the row may stand: its file must stay
    except BaseException:
        await ports.volume.delete(key_of(made.id))
        raise
    if stands.id != made.id and await ports.volume.stat(key_of(stands.id)) is None:  # removed by hand: ours takes its place
        await ports.db.write(lambda tx: _replace(tx, stands, made))
        return made
    if stands.id != made.id:
        await ports.volume.delete(key_of(made.id))
    return stands


def _publish(tx: Tx, made: Media) -> Media:
    now_net = settings.network_now(tx)
    known = rows.linked(tx, made.sha256)
    if known is not None and rows.use(tx, known.id, now_net):
        return known
    rows.add(tx, made, None, now_net, direction="link")
    return made


def _replace(tx: Tx, gone: Media, made: Media) -> None:
    rows.hide(tx, gone.id)
    rows.add(tx, made, None, settings.network_now(tx), direction="link")


async def _credentials(ports: Ports, name: str | None) -> Credentials | None:
    if name is None:
        return None
    provider = await ports.db.read(lambda tx: providers.find(tx, name))
    if provider is None:
        raise Fault(LINK_FAILED, f"The provider {name[:64]} was removed meanwhile: make it again, then send again.")
    return Credentials(authorization_of(provider), provider.hosts)


def authorization_of(provider: Provider) -> str:
    """The value of the header."""
    if provider.bearer:
        return f"Bearer {provider.bearer}"
    return "Basic " + base64.b64encode(f"{provider.username}:{provider.password}".encode()).decode()
