"""One run: work and trouble for so many seconds, then quiet, then verdicts."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2

from satchel.domain.errors import Later

from ... import engines
from ..running import eventually
from . import truth, verdicts
from .chaos import Chaos
from .clients import Ager, Client, Deleter, Sender, Writer
from .keeper import Keeper
from .ledger import Ledger, Link
from .links import Shelf
from .receiver import Receiver
from .verdicts import Evidence, Json
from .world import World, world

RECIPIENTS = tuple(f"120255560{n:02d}" for n in range(12))
SENDERS = 3
QUIET = 180.0
"""Seconds after the last trouble within which all work must have come to its end."""
SOON = {"callback_backoff_delay_ms": 200, "max_callback_backoff_delay_ms": 1000}
"""Callbacks that were not taken are tried again so soon."""


@dataclass(frozen=True)
class Done:
    """`wrong`: by verdict, what speaks against it; `story`: what befell the world."""

    counts: Counter[str]
    wrong: dict[str, list[str]]
    story: list[str]

    @property
    def lines(self) -> Iterator[str]:
        for name, against in self.wrong.items():
            yield f"{name.replace('_', ' ')}: {len(against)}"
            yield from (f"    {line}" for line in against[:5])


def run(kind: str, folder: Path, seconds: float, seed: int) -> Done:
    """A whole one, in a world of its own."""
    ledger, receiver, shelf = Ledger(), Receiver(seed), Shelf(seed)
    try:
        with ExitStack() as stack:
            made = stack.enter_context(world(kind, folder, engines.binaries()))
            ask = stack.enter_context(closing(Client(made, ledger, "judge", seed, 1.0)))
            webhooks = {"url": receiver.url, "message": {"sent": True}}
            answer = ask.call("PATCH", "/v1/settings/application", json={**SOON, "webhooks": webhooks})
            assert answer.status_code == 200, answer.text
            chaos = Chaos(made, seed)
            with working(_clients(made, ledger, shelf, seed)):
                chaos.start()
                try:
                    time.sleep(seconds)  # the length of the run is what is asked for
                finally:
                    chaos.stop()
            phones = quiet(made, ask, receiver)
            evidence = Evidence(made, ledger, receiver.told, phones, truth.look(made.place), ask)
            wrong = verdicts.all_of(evidence, verdicts.VERDICTS)
            made.clean()
            after = replace(evidence, truth=truth.look(made.place))
            return Done(counts(evidence, chaos), {**wrong, **verdicts.all_of(after, verdicts.AFTER_GC)}, chaos.story)
    finally:
        receiver.close()
        shelf.close()


@contextmanager
def working(clients: list[Client]) -> Iterator[None]:
    """Clients at work; at the end each finishes what it has begun."""
    for client in clients:
        client.start()
    try:
        yield
    finally:
        for client in clients:
            client.over.set()
    for client in clients:
        client.join()


def _clients(made: World, ledger: Ledger, shelf: Shelf, seed: int) -> list[Client]:
    found: list[Client] = []
    for n in range(SENDERS):
        sender = Sender(made, ledger, f"sender{n}", seed + n, 0.15)
        sender.recipients, sender.shelf = RECIPIENTS[n::SENDERS], shelf
        found.append(sender)
    writer = Writer(made, ledger, "writer", seed + 10, 0.4)
    writer.senders = RECIPIENTS[::2]
    keeper = Keeper(made, ledger, "keeper", seed + 13, 0.5)
    return [*found, writer, keeper, Deleter(made, ledger, "deleter", seed + 11, 0.3), Ager(made, ledger, "ager", seed + 12, 5.0)]


def quiet(made: World, ask: Client, receiver: Receiver) -> dict[str, list[Json]]:
    """Wait until nobody has anything to do any more, have everybody fetch what they lack, and wait again; what each phone has."""
    made.ready()
    _until_idle(made, ask)
    for number in RECIPIENTS:
        ask.network("POST", f"/sandbox/phones/{number}/actions", json={"do": "download"})
    for media_id in verdicts.undownloaded(receiver.told):
        ask.ledger.count("inbound asked for again")
        ask.call("GET", f"/v1/media/{media_id}/download")
    _until_idle(made, ask)
    return {number: _messages(ask, number) for number in RECIPIENTS}


def _until_idle(made: World, ask: Client) -> None:
    found: list[str] = []

    def idle() -> bool:
        try:
            found[:] = [*truth.busy(made.place), *_on_the_network(ask)]
        except (Later, httpx2.TransportError) as error:
            found[:] = [repr(error)]
        return not found

    eventually(idle, QUIET, lambda: f"{len(found)} not at rest: {found[:10]}\n{made.tail()}")


def _on_the_network(ask: Client) -> list[str]:
    """Events that the node has not taken, messages that a phone has not got, media that is on its way."""
    status = ask.network("GET", "/sandbox/status").json()
    left = [f"{status[what]} {what}" for what in ("events_waiting", "waiting") if status[what]]
    for number in RECIPIENTS:
        media = (message["media"] for message in _messages(ask, number) if not message.get("mine"))
        left += [f"{number}: {one}" for one in media if one and one["state"] not in ("downloaded", "unavailable", "not_downloaded")]
    return left


def _messages(ask: Client, number: str) -> list[Json]:
    answer = ask.network("GET", f"/sandbox/phones/{number}/messages")
    found: list[Json] = answer.json()["messages"] if answer.status_code == 200 else []
    return found


def counts(evidence: Evidence, chaos: Chaos) -> Counter[str]:
    ledger = evidence.ledger
    work = {
        "uploads": len(ledger.uploads),
        "sends": len(ledger.all_sent),
        "sends by link": sum(isinstance(one.media, Link) for one in ledger.all_sent),
        "gone by gc": len(evidence.truth.collected),
        "inbound": len(ledger.all_inbound),
        "deletes": len(ledger.deleted),
        "sends failed": len(evidence.truth.faults),
        "callbacks": len(evidence.truth.callbacks),
        "callback calls": len(evidence.told),
    }
    return Counter(work) + ledger.counts + chaos.counts
