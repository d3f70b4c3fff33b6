"""What must be true once all is quiet. Each verdict returns what speaks against it, in lines; none, where it holds."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .clients import Client
from .ledger import Ledger, Link
from .receiver import Told
from .truth import Truth, files
from .world import UNUSED_FOR, World

Json = dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """`phones`: what each phone has, by number, the messages it sent itself among them; `ask`: a client of the node."""

    world: World
    ledger: Ledger
    told: list[Told]
    phones: dict[str, list[Json]]
    truth: Truth
    ask: Client


Verdict = Callable[[Evidence], Iterator[str]]


def all_of(evidence: Evidence, wanted: list[Verdict]) -> dict[str, list[str]]:
    """What speaks against each, by its name; those that hold are left out."""
    found = {verdict.__name__: list(verdict(evidence)) for verdict in wanted}
    return {name: lines for name, lines in found.items() if lines}


def uploads_are_readable(evidence: Evidence) -> Iterator[str]:
    """Every upload that was answered 2xx and not deleted; those that were deleted are not."""
    ledger = evidence.ledger
    for upload in ledger.uploads.values():
        answer = evidence.ask.call("GET", f"/v1/media/{upload.id}")
        if upload.id in ledger.deleted:
            if answer.status_code != 404:
                yield f"{upload} was deleted and is answered {answer.status_code}"
        elif answer.status_code != 200 or hashlib.sha256(answer.content).hexdigest() != upload.sha256:
            yield f"{upload} is answered {answer.status_code} with {len(answer.content)} bytes"


def messages_arrived_once_or_failed(evidence: Evidence) -> Iterator[str]:
    truth = evidence.truth
    for number, sent in evidence.ledger.sent.items():
        times = Counter(_mark(message) for message in _got(evidence, number))
        for one in sent:
            wanted = 0 if truth.states.get(one.id) == "failed" else 1
            if times[one.mark] != wanted:
                yield f"{one} is {truth.states.get(one.id)} {truth.faults.get(one.id)} and on the phone {times[one.mark]} times"
        for mark in times.keys() - {one.mark for one in sent}:
            yield f"{number} has {mark}, which nobody was told to have sent"


def failures_have_a_reason(evidence: Evidence) -> Iterator[str]:
    """A volume that stays full too long, and media that was deleted before it could go out, are the only ones here."""
    for id_, errors in evidence.truth.faults.items():
        if errors[0]["code"] != 1005:
            yield f"{id_}: {errors}"


def recipients_got_them_in_order(evidence: Evidence) -> Iterator[str]:
    for number, sent in evidence.ledger.sent.items():
        got = [message["id"] for message in _got(evidence, number)]
        wanted = [one.id for one in sent if one.id in set(got)]
        if got != wanted:
            yield f"{number}: {_first_difference(got, wanted)}"


def media_came_whole(evidence: Evidence) -> Iterator[str]:
    """Downloaded, with the bytes of the upload where those go out as they are; "unavailable" only where the media was deleted."""
    ledger = evidence.ledger
    sent = {one.id: one for one in ledger.all_sent}
    for number in ledger.sent:
        for message in _got(evidence, number):
            given, media = sent[message["id"]].media if message["id"] in sent else None, message["media"]
            if given is None or media is None:
                continue
            gone = message["id"] in evidence.truth.bereft if isinstance(given, Link) else given.id in ledger.deleted
            if media["state"] != "downloaded" and not (media["state"] == "unavailable" and gone):
                yield f"{number} {message['id']} {given}: {media}"
            if given.raw and media["sha256"] != given.sha256:
                yield f"{number} {message['id']} {given}: other bytes {media}"


def gc_kept_to_its_rule(evidence: Evidence) -> Iterator[str]:
    """It took what had come by a link and was unused for long."""
    for one in evidence.truth.collected:
        if one.direction != "link" or one.unused_for < UNUSED_FOR:
            yield f"{one} was taken"


def callbacks_arrived(evidence: Evidence) -> Iterator[str]:
    """Each that was put down was taken; and each message had its own, whatever was put down."""
    taken = {told.id for told in evidence.told if told.taken}
    for callback in evidence.truth.callbacks:
        if callback.state != "done" or callback.id not in taken:
            yield f"{callback} was {'taken' if callback.id in taken else 'never taken'}"
    heard = _statuses(told for told in evidence.told if told.taken)
    for one in evidence.ledger.all_sent:
        wanted = {"failed"} if evidence.truth.states.get(one.id) == "failed" else {"sent", "delivered"}
        if not wanted <= heard[one.id]:
            yield f"{one}: heard {heard[one.id]}"
        if "failed" in heard[one.id] and heard[one.id] & {"sent", "delivered"}:
            yield f"{one}: heard of success and failure {heard[one.id]}"


def callbacks_came_in_order(evidence: Evidence) -> Iterator[str]:
    """Of one contact: first arrivals are in the order in which they were put down."""
    contact = {callback.id: callback.contact for callback in evidence.truth.callbacks}
    came: defaultdict[str, list[str]] = defaultdict(list)
    for id_ in dict.fromkeys(told.id for told in evidence.told):
        came[contact.get(id_, "nobody's")].append(id_)
    wanted: defaultdict[str, list[str]] = defaultdict(list)
    for callback in evidence.truth.callbacks:
        wanted[callback.contact].append(callback.id)
    for number, ids in came.items():
        if ids != wanted[number]:
            yield f"{number}: {_first_difference(ids, wanted[number])}"


def statuses_are_told_in_order(evidence: Evidence) -> Iterator[str]:
    """Without the tables: `sent` before `delivered`, and each of them in the order of the messages."""
    first: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for told in evidence.told:
        for status in told.body.get("statuses", []):
            if (status["id"], status["status"]) not in first[status["recipient_id"]]:
                first[status["recipient_id"]].append((status["id"], status["status"]))
    for number, pairs in first.items():
        place = {pair: n for n, pair in enumerate(pairs)}
        yield from (f"{number}: delivered before sent {id_}" for id_, status in pairs if place.get((id_, "sent"), -1) > place[id_, status])
        came = [id_ for id_, status in pairs if status == "sent"]
        wanted = [one.id for one in evidence.ledger.sent[number] if one.id in set(came)]
        if came != wanted:
            yield f"{number}, sent: {_first_difference(came, wanted)}"


def inbound_was_announced(evidence: Evidence) -> Iterator[str]:
    """Everything that phones sent, in each one's order, with a file that can be read; some once it was asked for again."""
    told: dict[str, Json] = {}
    for callback in evidence.told:
        for message in callback.body.get("messages", []):
            told.setdefault(message["id"], message)
    for number, messages in evidence.phones.items():
        mine = [message["id"] for message in messages if message.get("mine")]
        came = [id_ for id_ in told if told[id_]["from"] == number]
        if came != mine:
            yield f"{number}: {_first_difference(came, mine)}"
    for one in evidence.ledger.all_inbound:
        if one.id in told:
            yield from _file(evidence, told[one.id], one.sha256)
        else:
            yield f"{one} was never announced"


def undownloaded(told: list[Told]) -> list[str]:
    """Ids of received media that were announced without their file, each once. The sender's phone did not answer within half a minute."""
    media = [message.get(message["type"]) for one in told for message in one.body.get("messages", [])]
    return list(dict.fromkeys(one["id"] for one in media if isinstance(one, dict) and one.get("status") == "undownloaded"))


def _file(evidence: Evidence, message: Json, sha256: str | None) -> Iterator[str]:
    if sha256 is None:
        return
    media = message[message["type"]]
    if media.get("status") != "undownloaded" and hashlib.sha256(Path(media["file"]).read_bytes()).hexdigest() != sha256:
        yield f"{message} has another file"
    answer = evidence.ask.call("GET", f"/v1/media/{media['id']}")
    if answer.status_code != 200 or hashlib.sha256(answer.content).hexdigest() != sha256:
        yield f"{message} is answered {answer.status_code}"


def rows_have_their_files(evidence: Evidence) -> Iterator[str]:
    folder, truth = evidence.world.volume, evidence.truth
    shared, renditions = files(folder / "shared"), files(folder / "renditions")
    yield from (f"media {id_} has no file" for id_ in truth.live.keys() - shared)
    yield from (f"rendition {file} has no file" for file in truth.renditions - renditions)


def files_have_their_rows(evidence: Evidence) -> Iterator[str]:
    """After gc. A file of what is deleted is an orphan, too."""
    folder, truth = evidence.world.volume, evidence.truth
    yield from (f"shared/{name} has no row" for name in files(folder / "shared") - truth.live.keys())
    yield from (f"renditions/{name} has no row" for name in files(folder / "renditions") - truth.renditions)
    yield from (f"parts/{name} is left" for name in files(folder / "parts"))


def nobody_was_told_nonsense(evidence: Evidence) -> Iterator[str]:
    """Answers that clients got on the way; parts that ended by themselves; errors of ours in the log."""
    yield from evidence.ledger.wrong
    yield from evidence.world.died
    for line in evidence.world.log.read_text(errors="replace").splitlines():
        if '"event":"unexpected"' in line or '"event":"lane_asleep"' in line or '"event":"lane_overslept"' in line:
            yield line[:2000]


VERDICTS: list[Verdict] = [
    uploads_are_readable,
    messages_arrived_once_or_failed,
    failures_have_a_reason,
    recipients_got_them_in_order,
    media_came_whole,
    gc_kept_to_its_rule,
    callbacks_arrived,
    callbacks_came_in_order,
    statuses_are_told_in_order,
    inbound_was_announced,
    rows_have_their_files,
    nobody_was_told_nonsense,
]
AFTER_GC: list[Verdict] = [rows_have_their_files, files_have_their_rows]
"""gc puts right what the verdicts before it are to see."""


def _got(evidence: Evidence, number: str) -> list[Json]:
    return [message for message in evidence.phones.get(number, []) if not message.get("mine")]


def _mark(message: Json) -> str:
    return str(message.get("caption") or message.get("text"))


def _statuses(told: Iterable[Told]) -> defaultdict[str, set[str]]:
    heard: defaultdict[str, set[str]] = defaultdict(set)
    for one in told:
        for status in one.body.get("statuses", []):
            heard[status["id"]].add(status["status"])
    return heard


def _first_difference(came: list[str], wanted: list[str]) -> str:
    missing = [id_ for id_ in wanted if id_ not in set(came)]
    extra = [id_ for id_ in came if id_ not in set(wanted)]
    if missing or extra:
        return f"missing {missing[:3]} ({len(missing)}), too many {extra[:3]} ({len(extra)})"
    at = next((n for n, pair in enumerate(zip(came, wanted, strict=True)) if pair[0] != pair[1]), 0)
    return f"at {at} came {came[at : at + 3]}, not {wanted[at : at + 3]}"
