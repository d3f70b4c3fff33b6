"""kill −9 of each process before and after each of its port calls: whatever was acknowledged arrives, once, and nothing is left over.

`make test` runs a fixed sample of the calls, `make test-slow` all of them.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from satchel import build
from satchel.db import Tx

from ..conftest import PHOTO, Place
from .running import Hook, Node, eventually

SAMPLE = {"web": [1, 3], "core": [4, 8], "sandbox": [3, 7]}
"""Calls that `make test` tries; the numbers fall on an upload, a send, an encryption, a settle, an intake and a delivery."""
LEAST = {"web": 15, "core": 40, "sandbox": 30}
"""Kills that a whole sweep comes to at least."""
NUMBER = "12025550111"
Told = dict[str, Any]


@pytest.mark.parametrize("part", ["web", "core", "sandbox"])
def test_a_sample_of_calls(place: Place, part: str) -> None:
    Sweep(place, part).run(SAMPLE[part])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", ["web", "core", "sandbox"])
def test_every_call(place: Place, part: str) -> None:
    Sweep(place, part).run(None)


class Sweep:
    """One part of a node is killed at one call after the other; the other parts go on."""

    def __init__(self, place: Place, part: str) -> None:
        self._part = part
        self._node = Node(place)
        self._hook = Hook()
        self._accepted: dict[str, str] = {}
        self._killed: Counter[str] = Counter()
        self._sprung = False

    def run(self, numbers: list[int] | None) -> None:
        try:
            self._node.start_all()
            self._node.set_hook(self._hook.url, sent=True)
            for number in numbers or range(1, 1000):
                for when in ("before", "after"):
                    sprung, calls = self._journey(f"{when}:{number}")
                    if not sprung and numbers is None and calls < number:
                        assert self._killed["yes"] >= LEAST[self._part], self._killed
                        return  # there are no more calls
            assert self._killed["yes"] >= len(numbers or []), "the trap did not spring"
        finally:
            self._node.stop_all()
            self._hook.close()
            print(f"{self._node.place.kind} {self._part}: {self._killed['yes']} kills, {len(self._accepted)} messages accepted")

    def _journey(self, kill: str) -> tuple[bool, int]:
        """The main job with a trap set: whether it sprang, and how many calls there were."""
        node, part = self._node, self._part
        self._sprung = False
        node.stop(part)
        calls = node.place.data_dir / f"calls-{kill.replace(':', '-')}"
        node.start(part, kill, calls)
        before = len(self._accepted)
        for type_, body in (
            ("image", PHOTO.read_bytes() + kill.encode()),  # bytes of its own, so that all of the path is walked
            ("document", kill.encode()),
        ):
            media = self._patiently_upload(type_, body)
            self._send(type_, media, caption=f"{kill} {type_}")
        self._delete(media)
        self._settled(before)
        self._revive()
        self._settled(before)
        self._check(calls)
        self._killed["yes" if self._sprung else "no"] += 1
        return self._sprung, len(calls.read_text().splitlines())

    def _revive(self) -> None:
        """Start a part that was killed again, without a trap."""
        if self._node.processes[self._part].poll() is not None:
            assert self._node.processes[self._part].returncode == -9, self._node.log.read_text()[-2000:]
            self._sprung = True
            self._node.start(self._part)

    def _try(self, method: str, path: str, **given: Any) -> httpx2.Response | None:
        """A call that a client would repeat: None when nobody answers, or only that it cannot now."""
        try:
            answer = self._node.call(method, path, **given)
        except httpx2.TransportError:
            self._revive()
            return None
        return answer if answer.status_code < 500 else None

    def _patiently_upload(self, type_: str, body: bytes) -> str:
        found: list[str] = []

        def stored() -> bool:
            mime = "image/jpeg" if type_ == "image" else "text/plain"
            answer = self._try("POST", "/v1/media", content=body, headers={"Content-Type": mime})
            if answer is not None:
                assert answer.status_code == 201, answer.text
                found.append(answer.json()["media"][0]["id"])
            return bool(found)

        eventually(stored, 30, lambda: f"upload: {self._node.log.read_text()[-2000:]}")
        return found[0]

    def _send(self, type_: str, media: str, caption: str) -> None:
        """Send until it is accepted; each try has a caption of its own, since one whose answer was lost may arrive, too."""
        tries = iter(range(1000))

        def accepted() -> bool:
            text = f"{caption} {next(tries)}"
            answer = self._try("POST", "/v1/messages", json={"to": NUMBER, "type": type_, type_: {"id": media, "caption": text}})
            if answer is not None:
                assert answer.status_code == 201, answer.text
                self._accepted[answer.json()["messages"][0]["id"]] = text
            return answer is not None

        eventually(accepted, 30, lambda: f"send: {self._node.log.read_text()[-2000:]}")

    def _delete(self, media: str) -> None:
        """Delete until it is gone; a repeated delete finds nothing."""
        eventually(lambda: self._try("DELETE", f"/v1/media/{media}") is not None, 30, lambda: "delete")

    def _settled(self, before: int) -> None:
        """Every accepted message is on the phone, downloaded, and `delivered` was told; or the trap has sprung."""
        new = list(self._accepted)[before:]

        def done() -> bool:
            if self._node.processes[self._part].poll() is not None:
                return True
            try:
                found = {message["id"]: message for message in self._node.phone(NUMBER)}
            except httpx2.TransportError:
                return False
            there = all(id_ in found and found[id_]["media"]["state"] == "downloaded" for id_ in new)
            return there and all("delivered" in self._hook.statuses(id_) for id_ in new)

        eventually(
            done, 40, lambda: f"{new}: {self._node.phone(NUMBER)[-3:]} {self._hook.bodies[-4:]} {self._node.log.read_text()[-3000:]}"
        )

    def _check(self, calls: Path) -> None:
        """Nothing lost, nothing doubled, in order; every row has its file, no part file is left, callbacks in order."""
        made = calls.read_text().split()
        found = self._node.phone(NUMBER)
        times = Counter(message["caption"] for message in found)
        assert max(times.values()) == 1, (made, times)
        arrived = [message["id"] for message in found if message["id"] in self._accepted]
        assert arrived == list(self._accepted), made
        for message_id in self._accepted:
            told = list(dict.fromkeys(self._hook.statuses(message_id)))
            assert told == ["sent", "delivered"], (made, told)
        eventually(lambda: not self._left_over(), 15, lambda: f"{made}: {self._left_over()}")

    def _left_over(self) -> list[str]:
        """Part files, rows without their file, files of media that were deleted."""
        volume = self._node.place.data_dir / "media"
        parts = [path.name for path in (volume / "parts").iterdir()]
        live, gone, renditions = _rows(self._node.place)
        missing = [id_ for id_ in live if not (volume / "shared" / id_).exists()]
        missing += [file for file in renditions if not (volume / "renditions" / file).exists()]
        return parts + missing + [id_ for id_ in gone if (volume / "shared" / id_).exists()]


def _rows(place: Place) -> tuple[list[str], list[str], list[str]]:
    """Ids of live media, ids of deleted ones, files of renditions."""
    import asyncio

    def look(tx: Tx) -> tuple[list[str], list[str], list[str]]:
        live = tx.all("SELECT id FROM media WHERE state = 'live'")
        gone = tx.all("SELECT id FROM media WHERE state <> 'live'")
        files = tx.all("SELECT file FROM rendition WHERE file IS NOT NULL")
        return [row[0] for row in live], [row[0] for row in gone], [row[0] for row in files]

    async def read() -> tuple[list[str], list[str], list[str]]:
        db = build.database(place.settings)
        try:
            return await db.read(look)
        finally:
            await db.close()

    return asyncio.run(read())
