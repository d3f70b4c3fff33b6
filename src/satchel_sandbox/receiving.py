"""One upload on its way into the vault. What breaks off stays as `<token>.partial`, to be gone on with. Blocking: call it from a thread."""

import hashlib
import os
from pathlib import Path

from .copies import token_of
from .files import PART, PartFile

PARTIAL = ".partial"
SEALING = "sealing"  # in place of a token, of a blob that a phone is still making
PARTIAL_LIFE = 24 * 3600.0  # seconds of network time; a partial's mtime is the network time at which it broke off


class HashMismatch(Exception):
    """The bytes are not those of the token."""


class WrongOffset(Exception):
    """Nothing is kept that ends where this upload wants to go on, or what is kept is damaged."""


class Receiving:
    """take bytes, then finish; or keep, or discard. Opens no file before the first bytes are there."""

    def __init__(self, final: Path, offset: int, durable: bool) -> None:
        self._final, self._offset, self._durable = final, offset, durable
        self._partial = final.with_suffix(PARTIAL)
        self._part: PartFile | None = None
        self._digest, self.size = hashlib.sha256(), offset

    def take(self, block: bytes) -> None:
        part = self._part or self._open()
        self._digest.update(block)
        part.write(block)
        self.size += len(block)

    def finish(self, block: bytes) -> int:
        """Take the last bytes and publish the whole if its SHA-256 is the name; its size."""
        self.take(block)
        assert self._part
        if token_of(self._digest.digest()) != self._final.stem:
            raise WrongOffset if self._offset else HashMismatch
        self._part.publish()
        self._partial.unlink(missing_ok=True)
        return self.size

    def keep(self, block: bytes, now: float) -> None:
        """The body broke off: leave what has come, unless nothing has."""
        if block:
            self.take(block)
        if self._part:
            self._part.keep(self._partial)
            os.utime(self._partial, (now, now))

    def discard(self) -> None:
        if self._part:
            self._part.discard()

    def _open(self) -> PartFile:
        if not self._offset:
            self._part = PartFile(self._final, self._durable)
            return self._part
        try:
            self._part = PartFile(self._final, self._durable, goes_on=self._partial)
        except FileNotFoundError:
            raise WrongOffset from None
        known = 0
        for block in self._part.read(self._offset):
            self._digest.update(block)
            known += len(block)
        if known != self._offset:
            raise WrongOffset
        return self._part


def kept(final: Path, now: float) -> int:
    """How many bytes of an upload are kept."""
    try:
        found = final.with_suffix(PARTIAL).stat()
    except FileNotFoundError:
        return 0
    return found.st_size if found.st_mtime + PARTIAL_LIFE > now else 0


def sweep(folder: Path, now: float) -> None:
    """Partials whose time is over go."""
    for partial in folder.glob(f"*{PARTIAL}"):
        if partial.stat().st_mtime + PARTIAL_LIFE <= now:
            partial.unlink(missing_ok=True)


def adopt(folder: Path, now: float) -> None:
    """What a process that was killed was receiving is kept as if it had broken off."""
    for part in folder.glob(f"*{PART}"):
        token = part.name.partition(".")[0]
        if part.stat().st_size and token != SEALING:
            part.replace(folder / f"{token}{PARTIAL}")
            os.utime(folder / f"{token}{PARTIAL}", (now, now))
        else:
            part.unlink()
