"""Is a node in a state to work? Each check looks at one thing, changes nothing that lasts, and says what to do. No secret is ever told."""

import asyncio
import statistics
import time
import timeit
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from satchel.db import Database, Tx, figures, hosts, message_listing, schema, settings, users
from satchel.db import providers as provider_rows
from satchel.domain import room
from satchel.domain.application import webhook_url
from satchel.domain.errors import Fault, Later
from satchel.domain.quantities import shown_size
from satchel.domain.users import ADMIN, FACTORY_PASSWORD
from satchel.egress import Egress
from satchel.flows import access
from satchel.upstream import Upstream
from satchel.volume import Space, Volume

SKEW, SLOW_QUERY, SLOW_FSYNC, SLOW_HASH, FEW_INODES = 2.0, 0.1, 0.1, 0.5, 0.05
LONG_WAIT = 60.0
"""Seconds, and a share: what is beyond is worth a warning."""
START = "start satchel dev, or satchel serve --role core"


@dataclass(frozen=True)
class Finding:
    """`level`: ok, warning (it works, but look at it) or problem."""

    level: Literal["ok", "warning", "problem"]
    text: str


async def database(db: Database, pending: list[str]) -> Finding:
    """Reachable, how fast, and its schema."""
    if pending:
        return Finding("problem", f"the schema lacks {', '.join(pending)}: run satchel migrate")
    version = await db.read(lambda tx: schema.version(tx, db))
    seconds = statistics.median([(await _clock(db))[1] for _ in range(5)])
    level: Literal["ok", "warning"] = "warning" if seconds > SLOW_QUERY else "ok"
    return Finding(level, f"{version}, schema up to date, a query takes {seconds * 1000:.1f} ms")


async def clock(db: Database) -> Finding:
    """This host's clock against the database's."""
    far = min([await _clock(db) for _ in range(3)], key=lambda told: told[1])[0]
    if abs(far) > SKEW:
        side = "ahead of" if far > 0 else "behind"
        return Finding("warning", f"this host is {abs(far):.1f} s {side} the database (limit {SKEW:g} s): let both follow a time server")
    return Finding("ok", f"this host and the database agree to {max(abs(far), 0.01):.2f} s")


async def _clock(db: Database) -> tuple[float, float]:
    """How far this host is ahead of the database, and how long the question took, both in seconds."""
    asked = time.time()
    told = await db.read(hosts.now)
    answered = time.time()
    return (asked + answered) / 2 - told, answered - asked


async def volume(engine: Volume, root: Path, high_water: float, hint: str = "") -> Finding:
    """There, ours, writable, durable; its room. `hint`: what else to do where it is not there."""
    if not await engine.present():
        return Finding("problem", f"{root} is not the volume of this database (its .satchel-volume is absent or another's): mount it{hint}")
    try:
        trial = await engine.try_out()
    except Fault as fault:
        return Finding("problem", fault.details)
    if not trial.kept:
        return Finding("problem", f"a rename on {root} does not keep the file: use a local disk or NFS")
    space = await engine.space()
    tight = _tight(space, high_water)
    fsync = f"writable, fsync {trial.flush * 1000:.1f} ms, rename atomic"
    text = f"{fsync}, {shown_size(space.free)} of {shown_size(space.total)} free{f': {tight}' if tight else ''}"
    if room.LEVELS.index(room.level(space, high_water)) >= room.REFUSING:
        return Finding("problem", text)
    return Finding("warning" if tight or trial.flush > SLOW_FSYNC else "ok", text)


def _tight(space: Space, high_water: float) -> str:
    """What there is too little of."""
    if tight := room.sentence(space, high_water):
        return tight
    if space.inodes and space.inodes_free < FEW_INODES * space.inodes:
        return f"only {space.inodes_free} inodes are left; delete media or enlarge the volume"
    return ""


async def webhook(db: Database, egress: Egress) -> Finding:
    """Whether somebody answers at the URL for callbacks. Sends no callback."""
    url = webhook_url(await db.read(settings.application))
    if not url:
        return Finding(
            "warning",
            "no URL is set: callbacks are kept as unsent, never to be sent by themselves (PATCH /v1/settings/application sets one)",
        )
    answer = await egress.knock(url)
    if not answer.came:
        return Finding("problem", f"{shown(url)}: {answer.sentence}; start it there, or set another webhooks.url")
    if answer.broken:
        return Finding("warning", f"{shown(url)}: {answer.sentence}; look at its log")
    if answer.result == "501":  # a receiver that knows nothing but POST
        return Finding("ok", f"{shown(url)}: reachable; try satchel webhook test")
    return Finding("ok", f"{shown(url)}: {answer.sentence}")


def shown(url: str) -> str:
    """A URL without what may be secret in it: user, password, query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


async def upstream(db: Database, engine: Upstream) -> Finding:
    """What the living Coreapps say of it, and what it says itself where they have lost it or none lives."""
    cores = await db.read(lambda tx: hosts.living(tx, "core"))
    lost = [host.id for host in cores if host.stats.get("upstream") != "connected"]
    if cores and not lost:
        return Finding("ok", f"{engine.name}, connected from {len(cores)} Coreapp{'s' if len(cores) > 1 else ''}")
    why = ""
    try:
        await engine.state()
    except (Fault, Later) as error:
        why = error.details
    if lost:
        said = f"{engine.name}: not connected from {', '.join(lost)}."
        return Finding("problem", f"{said} {why or 'From here it can be reached; the log of Coreapp says why.'}")
    if why:
        return Finding("problem", f"no Coreapp runs: {START}. {why}")
    return Finding("warning", f"{engine.name} answers, but no Coreapp runs: {START}")


async def messages(db: Database) -> Finding:
    """How many accepted messages have not gone out, since when, and why the oldest has not."""

    def look(tx: Tx) -> tuple[figures.Queue, str | None]:
        queue = figures.queue(tx, "message", "out")
        return queue, message_listing.held(tx, queue.first).why if queue.first else None

    waiting, why = await db.read(look)
    if not waiting.waiting:
        received = await db.read(lambda tx: figures.queue(tx, "message", "in"))
        return Finding("ok", f"none waits to be sent{_received(received)}")
    since = datetime.fromtimestamp(time.time() - waiting.oldest, UTC)
    some = f"{waiting.waiting} wait to be sent" if waiting.waiting > 1 else "one waits to be sent"
    text = f"{some}, {'the oldest ' if waiting.waiting > 1 else ''}since {since:%Y-%m-%dT%H:%M:%SZ}"
    text += f" (last: {why.rstrip('.')})" if why else ""
    if waiting.oldest < LONG_WAIT:
        return Finding("ok", text)
    return Finding("warning", f"{text}: see upstream and volume here, and the log of Coreapp")


def _received(queue: figures.Queue) -> str:
    return f"; {queue.waiting} received {'wait' if queue.waiting > 1 else 'waits'} to be fetched and told" if queue.waiting else ""


async def providers(db: Database) -> Finding:
    """Whether the credentials for links go nowhere but where they were meant to."""
    known = await db.read(provider_rows.every)
    loose = [provider.name for provider in known if not provider.hosts]
    if not loose:
        return Finding("ok", f"{len(known)}, each with the hosts that may see its credentials" if known else "no media provider")
    told = f"{', '.join(name[:40] for name in loose[:5])}{' and more' if len(loose) > 5 else ''} without hosts"
    risk = "whoever may send messages can name a server of theirs in a link and be sent the credentials"
    return Finding("warning", f'media provider {told}: {risk}; POST it again with hosts, such as ["files.example.com"]')


async def admin(db: Database) -> Finding:
    """Somebody can log in, and not with a password that everybody knows."""

    def look(tx: Tx) -> str | None:
        user = users.find(tx, ADMIN)
        return None if user is None else user.password_hash

    known = await db.read(look)
    if known is None:
        return Finding("problem", "there is no administrator: satchel serve makes one at its first start (SATCHEL_ADMIN_PASSWORD)")
    if any([await access.fits(known, password) for password in ("", FACTORY_PASSWORD)]):
        return Finding(
            "problem", 'the administrator\'s password is empty, or "secret" as at first on On-Premises: run satchel user passwd admin'
        )
    if await db.read(lambda tx: settings.get(tx, settings.FACTORY_DOOR)) is not None:
        return Finding(
            "ok",
            'there is one. Whoever logs in as admin with the password "secret", as On-Premises wanted at first, may set a new one, once',
        )
    return Finding("ok", 'there is one, and "secret", the first password of On-Premises, is refused')


async def password() -> Finding:
    """How long a login works on this host."""
    seconds = await asyncio.to_thread(lambda: min(timeit.repeat(lambda: access.HASHER.hash("a trial"), number=1, repeat=3)))
    text = f"hashing one takes {seconds * 1000:.0f} ms"
    return Finding("warning", f"{text}: logins are slow on this host") if seconds > SLOW_HASH else Finding("ok", text)
