"""Media whose 14 days are over: phones ask, the node uploads the same bytes again or says why not. Real processes, on both engines."""

import asyncio
import hashlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from satchel import build
from satchel.db import settings

from ..conftest import Place
from .late import NUMBERS, Media, a_picture, ask, at_phone, envelope, file_of, number, steps
from .running import Node, eventually, running


@pytest.fixture(scope="module")
def node(shared_place: Place) -> Iterator[Node]:
    """One node for all: each test has phones and media of its own, and the clock only moves forward."""
    with running(shared_place) as node:
        yield node


def test_p14_p15_the_same_file_comes_two_weeks_later(node: Node) -> None:
    sent = at_phone(node)
    before, plain = envelope(node, sent), node.phone(sent[1])[0]["media"]["sha256"]
    media = ask(node, sent)
    assert (media["state"], media["sha256"]) == ("downloaded", plain)
    after = envelope(node, sent)
    assert before["direct_path"] != after["direct_path"]
    assert {name: value for name, value in before.items() if name != "direct_path"} == {
        name: value for name, value in after.items() if name != "direct_path"
    }
    assert hashlib.sha256(node.received(sent[1], sent[2])).hexdigest() == plain
    eventually(lambda: steps(node, sent) == [("media_requested", "ok"), ("media_reuploaded", "ok")], 5, lambda: str(steps(node, sent)))


def test_p14_each_send_begins_the_14_days_anew(node: Node) -> None:
    sent = at_phone(node)
    node.advance("10d")
    other = number()
    node.send(other, "image", sent[0])
    node.phone_until(other, 1)
    before = envelope(node, sent)["direct_path"]
    node.advance("10d")
    assert ask(node, sent, advance="")["state"] == "downloaded"
    assert envelope(node, sent)["direct_path"] == before


def test_p15_deleted_media_are_unavailable_also_when_asked_for_again(node: Node) -> None:
    sent = at_phone(node)
    assert node.call("DELETE", f"/v1/media/{sent[0]}").status_code == 200
    for advance in ("15d", ""):
        media = ask(node, sent, advance)
        assert (media["state"], "does not have the file any more" in media["reason"]) == ("unavailable", True)
    eventually(lambda: len(steps(node, sent)) == 4, 5, lambda: str(steps(node, sent)))
    assert steps(node, sent)[-1] == ("media_reuploaded", "failed")


def test_p15_deleted_media_are_gone_though_others_hold_the_same_bytes(node: Node) -> None:
    body = a_picture()
    gone, kept = at_phone(node, body), at_phone(node, body)
    assert node.call("DELETE", f"/v1/media/{gone[0]}").status_code == 200
    assert ask(node, gone)["state"] == "unavailable"
    assert ask(node, kept, advance="")["state"] == "downloaded"


def test_p15_p18_a_file_removed_by_hand_is_unavailable_until_it_is_back(node: Node, tmp_path: Path) -> None:
    sent = at_phone(node)
    file = file_of(node, sent[0])
    shutil.move(file, tmp_path / "away")
    assert ask(node, sent)["state"] == "unavailable"
    shutil.copy(tmp_path / "away", file)
    assert ask(node, sent, advance="")["state"] == "downloaded"


def flip(file: Path) -> None:
    changed = bytearray(file.read_bytes())
    changed[-20] ^= 1
    file.write_bytes(changed)


def directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def symlink(file: Path) -> None:
    target = file.with_name("a-target-outside")
    shutil.move(file, target)
    file.symlink_to(target)


@pytest.mark.parametrize(
    "damage", [flip, directory, symlink, lambda file: file.write_bytes(b"")], ids=["flip", "directory", "link", "empty"]
)
@pytest.mark.parametrize("type_", ["image", "document"])
def test_a_file_that_is_not_the_one_sent_is_unavailable(node: Node, type_: str, damage: Callable[[Path], None]) -> None:
    sent = at_phone(node, f"{next(NUMBERS)} words, and some more of them".encode() if type_ == "document" else None, type_)
    damage(file_of(node, sent[0]))
    assert ask(node, sent)["state"] == "unavailable"


def test_bytes_changed_under_the_same_stamp_are_noticed(node: Node) -> None:
    """The key never serves other bytes, even where size, time and inode say that nothing has changed."""
    sent = at_phone(node, f"{next(NUMBERS)} words, and some more of them".encode(), "document")
    file = file_of(node, sent[0])
    was = file.stat()
    with file.open("r+b") as opened:
        opened.write(b"X")
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert ask(node, sent)["state"] == "unavailable"


def test_a_volume_that_is_away_makes_nothing_unavailable(node: Node) -> None:
    sent = at_phone(node)
    volume = node.place.data_dir / "media"
    away = volume.rename(volume.with_name("away"))
    volume.mkdir()
    try:
        media = ask(node, sent)
        assert (media["state"], "is asked again" in media["reason"]) == ("not_downloaded", True)
    finally:
        volume.rmdir()
        away.rename(volume)
    node.advance("61s")
    query = {"wait": "20s", "match": "state=downloaded"}
    found = node.http.get(f"{node.sandbox_url}/sandbox/phones/{sent[1]}/messages", params=query, timeout=30).json()["messages"]
    assert [message["id"] for message in found] == [sent[2]]


def renditions(node: Node) -> set[Path]:
    return set((node.place.data_dir / "media" / "renditions").iterdir())


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"")], ids=["removed", "damaged"])
def test_what_post_processing_made_is_made_again(node: Node, damage: Callable[[Path], None]) -> None:
    before = renditions(node)
    sent = at_phone(node)
    (made,) = renditions(node) - before
    damage(made)
    assert ask(node, sent)["state"] == "downloaded"


def restarted(node: Node, part: str, how: signal.Signals = signal.SIGTERM, **own: str) -> None:
    node.stop(part, how)
    node.own = own
    node.start(part)


def test_changed_settings_do_not_change_what_was_sent(node: Node) -> None:
    before = renditions(node)
    kept, lost = at_phone(node), at_phone(node)
    made = sorted(renditions(node) - before, key=lambda file: file.stat().st_mtime_ns)
    made[1].unlink()
    restarted(node, "core", SATCHEL_POSTPROCESS__BACKGROUND="#102030")
    try:
        media = ask(node, kept)
        assert (media["state"], media["sha256"]) == ("downloaded", hashlib.sha256(made[0].read_bytes()).hexdigest())
        assert ask(node, lost, advance="")["state"] == "unavailable"  # with today's settings it would be another picture
    finally:
        restarted(node, "core")


def test_a_node_that_was_down_answers_after_its_restart(node: Node) -> None:
    sent = at_phone(node)
    node.stop("web")
    node.stop("core", signal.SIGKILL)
    assert ask_and_leave(node, sent) == "requesting"
    node.start("web")
    node.start("core")
    node.wait_ready()
    assert until_rest(node, sent) == "downloaded"


def ask_and_leave(node: Node, sent: Media) -> str:
    node.advance("15d")
    state = node.act(sent[1], "download", sent[2], wait="0s")["media"]["state"]
    eventually(lambda: node.phone(sent[1])[-1]["media"]["state"] == "requesting", 5, lambda: str(state))
    return "requesting"


def until_rest(node: Node, sent: Media) -> str:
    found = node.http.get(f"{node.sandbox_url}/sandbox/phones/{sent[1]}/messages", params={"wait": "40s"}, timeout=60).json()["messages"]
    return str(next(message for message in found if message["id"] == sent[2])["media"]["state"])


def calls_of(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_between_re_upload_and_answer(node: Node, tmp_path: Path, moment: str) -> None:
    """`before`: the copy is stored and nobody told; `after`: the phone was told and the request not put down as done."""
    sent = at_phone(node)
    node.stop("core")
    node.start("core", kill=f"{moment}:upstream.renew")
    node.advance("15d")
    node.act(sent[1], "download", sent[2], wait="0s")
    assert node.processes["core"].wait(30) == -signal.SIGKILL
    del node.processes["core"]
    again = tmp_path / "again"
    node.start("core", calls=again)
    eventually(lambda: "upstream.renew" in calls_of(again), 20, lambda: f"{calls_of(again)} {node.log.read_text()[-2000:]}")
    assert until_rest(node, sent) == "downloaded"
    assert calls_of(again).count("upstream.put") == 0  # what had been uploaded was found
    restarted(node, "core")


def asked_by_many(node: Node, phones: int, tmp_path: Path) -> None:
    media = node.upload(a_picture(), "image/png")
    numbers = [number() for _ in range(phones)]
    with ThreadPoolExecutor(8) as threads:
        messages = list(threads.map(lambda to: node.send(to, "image", media), numbers))
        for one in numbers:
            node.phone_until(one, 1, timeout=60)
        list(threads.map(lambda to: node.act(to, "forget"), numbers))
        node.stop("core")
        for part in ("core", "core-2"):
            node.start(part, calls=tmp_path / part)
        node.advance("15d")
        found = list(threads.map(lambda one: node.act(one[0], "download", one[1], wait="0s"), zip(numbers, messages, strict=True)))
        assert len(found) == phones
        states = list(threads.map(lambda one: until_rest(node, (media, *one)), zip(numbers, messages, strict=True)))
    assert states == ["downloaded"] * phones
    calls = [calls_of(tmp_path / part) for part in ("core", "core-2")]
    assert sum(some.count("upstream.put") for some in calls) == 1
    assert sum(some.count("upstream.renew") for some in calls) == phones
    node.stop("core-2")
    restarted(node, "core")


def test_one_re_upload_serves_all_who_ask(node: Node, tmp_path: Path) -> None:
    asked_by_many(node, 60, tmp_path)


@pytest.mark.slow
def test_one_re_upload_serves_a_thousand_phones(node: Node, tmp_path: Path) -> None:
    asked_by_many(node, 1000, tmp_path)


def test_a_forwarded_picture_is_asked_for_where_it_came_from(node: Node) -> None:
    sent, friend = at_phone(node), number()
    node.act(sent[1], "download", sent[2])
    assert node.http.post(f"{node.sandbox_url}/sandbox/phones", json={"number": friend, "auto_download": False}).status_code == 201
    forwarded = node.act(sent[1], "forward", sent[2], to=friend)
    late = (sent[0], friend, forwarded["id"])
    assert ask(node, late)["state"] == "downloaded"
    assert node.received(friend, forwarded["id"]) == node.received(sent[1], sent[2])
    node.act(friend, "forget", forwarded["id"])
    assert node.call("DELETE", f"/v1/media/{sent[0]}").status_code == 200
    assert ask(node, late)["state"] == "unavailable"


def test_node_and_phones_move_together(node: Node) -> None:
    """A moved clock has reached the node when the call returns: a message's time is the new one."""
    before = node.http.get(f"{node.sandbox_url}/sandbox/clock").json()["offset"]
    node.advance("3d")
    assert asyncio.run(known_offset(node.place)) == pytest.approx(before + 3 * 86400)


async def known_offset(place: Place) -> float:
    db = build.database(place.settings)
    try:
        return (await db.read(settings.upstream))[1]
    finally:
        await db.close()
