"""Simulated phones as tests hold them: waiting for what arrives, and what a person does."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from satchel.testing.chat import Chat
from satchel.testing.report import message_in_vain

if TYPE_CHECKING:
    from satchel.testing.world import World

UNSETTLED = ("queued", "downloading", "requesting")
LOOK, LONGEST_POLL = 0.02, 0.5
"""Seconds between two looks; and that one look waits at the most for a message that is not there yet."""
Json = dict[str, Any]


class Phone:
    """One phone. `number`: its digits."""

    def __init__(self, world: "World", number: str) -> None:
        self._world, self.number = world, number
        self._sandbox, self._given = world.sandbox, set[str]()

    @property
    def info(self) -> Json:
        """What the sandbox says of it: system, timezone, online, auto_download, waiting and more."""
        return self._sandbox.phone(self.number)

    @property
    def messages(self) -> "list[OnPhone]":
        """All that it received, the oldest first."""
        return [OnPhone(self._world, self.number, one) for one in self._sandbox.messages(self.number) if not is_own(one)]

    @property
    def blocks(self) -> list[Json]:
        """What it shows of its newest conversation, whether that is open or not; nothing where there is none."""
        return self._sandbox.newest_blocks(self.number)

    def wait_for(self, type_: str | None = None, timeout: float = 5.0, *, text: str | None = None) -> "OnPhone":
        """The next message of a type that no earlier call gave, once its media has come to rest.

        `text`: what its text, caption or file name contains. `timeout`: seconds. Raises `WaitedInVain`, which tells what came instead.
        """
        match = [f"{name}={value}" for name, value in (("type", type_), ("text", text)) if value is not None]
        __tracebackhide__ = True
        until = time.monotonic() + timeout
        while True:
            for one in self._sandbox.messages(self.number, match):
                if one["id"] not in self._given and settled(one) and not is_own(one):
                    self._given.add(one["id"])
                    return OnPhone(self._world, self.number, one)
            if (left := until - time.monotonic()) <= 0:
                raise message_in_vain(self._world, self.number, type_, text, timeout)
            self._wait(match, min(left, LONGEST_POLL))

    def _wait(self, match: Sequence[str], seconds: float) -> None:
        """Until something may have changed: behind the last one that was given, or, while an older one is on its way, soon."""
        known = self._sandbox.messages(self.number, match)
        if any(not settled(one) for one in known[:-1]):
            time.sleep(LOOK)
            return
        last = known[-1]["id"] if known and known[-1]["id"] in self._given else None
        self._sandbox.messages(self.number, match, last, f"{seconds * 1000:.0f}ms")

    @contextmanager
    def opened(self, timeout: float = 5.0) -> Iterator[Chat]:
        """Open the chat once everything that was accepted for this phone has come, so that albums can form; leave it at the end."""
        self.settle(timeout)
        self._sandbox.act(self.number, "open")
        try:
            yield Chat(self._world, self)
        finally:
            self._sandbox.act(self.number, "leave")

    def settle(self, timeout: float = 5.0) -> None:
        """Return when nothing is on its way to this phone any more, or the time is over."""
        until = time.monotonic() + timeout
        while self._expects() and time.monotonic() < until:
            time.sleep(LOOK)

    def send(
        self,
        type_: str,
        source: str | Path | bytes | None = None,
        *,
        text: str | None = None,
        caption: str | None = None,
        filename: str | None = None,
        mime: str | None = None,
        reply_to: "OnPhone | str | None" = None,
    ) -> "OnPhone":
        """Write to the business: a `text`, or image, video, audio, voice, document or sticker with the file that `source` names or is.

        What comes of it is told by a callback: wait for it with `expect_webhook("messages", …)`.
        """
        asked = {"type": type_, "text": text, "caption": caption, "filename": filename, "mime_type": mime}
        if source is not None:
            with BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file:
                asked["file"] = self._sandbox.give(self.number, file)
        if reply_to is not None:
            asked["reply_to"] = reply_to.id if isinstance(reply_to, OnPhone) else reply_to
        given = {name: value for name, value in asked.items() if value is not None}
        return OnPhone(self._world, self.number, self._sandbox.send(self.number, given))

    def react(self, message: "OnPhone | str", emoji: str) -> None:
        """Put an emoji under a message; an empty one takes it away."""
        self._sandbox.react(self.number, message.id if isinstance(message, OnPhone) else message, emoji)

    def online(self) -> Self:
        """On the network: what waits for it is delivered."""
        return self._do("online")

    def offline(self) -> Self:
        """Off the network: messages wait there."""
        return self._do("offline")

    def block(self) -> Self:
        """Block the business."""
        return self._do("block")

    def unblock(self) -> Self:
        """Let the business write again."""
        return self._do("unblock")

    def read(self) -> Self:
        """Read everything without opening the chat."""
        return self._do("read")

    def _do(self, action: str) -> Self:
        self._sandbox.act(self.number, action)
        return self

    def _expects(self) -> bool:
        if next(self._world.node.messages.list(to=self.number, state="waiting"), None) is not None:
            return True
        info = self.info
        return bool(info["online"] and info["waiting"]) or not all(map(settled, self._sandbox.messages(self.number)))


class OnPhone:
    """A message on a phone, received or sent. `sender`: a number; `caption`, `filename`, `text`: None where it has none."""

    def __init__(self, world: "World", number: str, told: Json) -> None:
        self._world, self._number, self._told = world, number, told
        self.id, self.type, self.sender = str(told["id"]), str(told["type"]), str(told["from"])
        self.caption, self.filename, self.text = told.get("caption"), told.get("filename"), told.get("text")

    @property
    def info(self) -> Json:
        """What the sandbox says of it now."""
        return next((one for one in self._world.sandbox.messages(self._number) if one["id"] == self.id), self._told)

    @property
    def state(self) -> str | None:
        """Of its media on the phone now: queued, downloading, downloaded, not_downloaded, requesting or unavailable; None without media."""
        media = self.info["media"]
        return None if media is None else str(media["state"])

    @property
    def is_read(self) -> bool:
        """Whether it was read by now."""
        return bool(self.info["read"])

    @property
    def mime_type(self) -> str | None:
        """Of its media, as the message says; None without media."""
        return (self._told["media"] or {}).get("mime_type")

    @property
    def sha256(self) -> str | None:
        """Hexadecimal, of the plain bytes."""
        return (self._told["media"] or {}).get("sha256")

    @property
    def bytes(self) -> bytes:
        """What the phone decrypted. Raises `ClientError` where it has nothing."""
        return self._world.sandbox.media(self._number, self.id)

    @property
    def block(self) -> Json:
        """How the phone shows it: a bubble, also where it is part of an album."""
        shown = self._world.sandbox.blocks(self._number, self.sender)
        bubbles = [bubble for block in shown for bubble in block.get("items", [block])]
        return next(bubble for bubble in bubbles if bubble.get("id") == self.id)

    @property
    def label(self) -> str | None:
        """What a document's card bears."""
        return self.block.get("label")

    @property
    def label_cut(self) -> bool:
        """Whether characters of it are missing."""
        return bool(self.block.get("label_cut"))

    @property
    def media_id(self) -> str | None:
        """The media id that the business sent it with."""
        found = self._world.node.messages.get(self.id).info()["media_id"]
        return None if found is None else str(found)

    def download(self, timeout: float = 10.0) -> Self:
        """Tap on it; returns when its media has come to rest, or the time is over."""
        self._world.sandbox.act(self._number, "download", self.id, wait=f"{timeout * 1000:.0f}ms")
        return self

    def forget(self) -> Self:
        """Remove the phone's own copy."""
        return self._do("forget")

    def read(self) -> Self:
        """Read it, without opening the chat."""
        return self._do("read")

    def play(self) -> Self:
        """Listen to it."""
        return self._do("play")

    def __repr__(self) -> str:
        return f"<{self.type} {self.id} on {self._number}>"

    def _do(self, action: str) -> Self:
        self._world.sandbox.act(self._number, action, self.id)
        return self


def is_own(message: Json) -> bool:
    """Whether the phone itself has sent it."""
    return bool(message.get("mine"))


def settled(message: Json) -> bool:
    """Whether its media, if it has any, is where it stays for now."""
    return message["media"] is None or message["media"]["state"] not in UNSETTLED


def digits(number: str) -> str:
    """`+1 202-555-0112` as `12025550112`."""
    return re.sub(r"[+\-(). ]", "", number)
