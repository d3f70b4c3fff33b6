"""A link on its way to a media: fetched once for the messages that wait for it, kept like an upload that no user owns."""

import asyncio
import base64
import uuid
from functools import partial

import structlog

from satchel.db import CommitUnknown, Tx, providers, settings
from satchel.db import media as rows
from satchel.db.providers import Provider
from satchel.domain.errors import LINK_FAILED, MEDIA_GONE, Fault
from satchel.domain.media import Media, is_mime
from satchel.egress.fetching import Credentials
from satchel.flows import Ports, reading
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
    """The row that stands; where an earlier link brought the same bytes, and its file has them yet, its media, and ours goes."""
    try:
        if not made.size:
            raise Fault(LINK_FAILED, "The link led to an empty file: put the file there, then send again.")
        while (stands := await ports.db.write(partial(_publish, made=made))).id != made.id:
            if await _still_holds(ports, stands):
                break
    except (CommitUnknown, asyncio.CancelledError):
        raise  # the row may stand: its file must stay
    except BaseException:
        await ports.volume.delete(key_of(made.id))
        raise
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


async def _still_holds(ports: Ports, known: Media) -> bool:
    """Whether its file is what its row says. One that was removed or changed by hand is no longer found by these bytes afterwards."""
    try:
        return (await reading.as_it_lies(ports, known)).sha256 == known.sha256
    except Fault as fault:
        if fault.situation is not MEDIA_GONE:
            raise
    await ports.db.write(lambda tx: rows.hide(tx, known.id))
    return False


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
