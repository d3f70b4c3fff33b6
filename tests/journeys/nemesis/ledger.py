"""What clients were promised, written down as they hear it. Nothing here asks the node."""

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass


@dataclass(frozen=True)
class Upload:
    """`type`: the message type that it is sent as; `raw`: phones get these very bytes, hexadecimal SHA-256 `sha256`."""

    id: str
    type: str
    sha256: str
    raw: bool


@dataclass(frozen=True)
class Link:
    """`url`: where it leads; the others as of an `Upload`."""

    url: str
    type: str
    sha256: str
    raw: bool


@dataclass(frozen=True)
class Sent:
    """`mark`: text that no other message bears; `media`: None for a text."""

    id: str
    to: str
    mark: str
    media: Upload | Link | None


@dataclass(frozen=True)
class Inbound:
    """What a phone has sent; `sha256` of its file, None for a text."""

    id: str
    sender: str
    mark: str
    sha256: str | None


class Ledger:
    """Shared by all clients. `condemned`: media whose deletion was begun; `wrong`: what nobody should have been told."""

    def __init__(self) -> None:
        self.uploads: dict[str, Upload] = {}
        self.condemned: set[str] = set()
        self.deleted: set[str] = set()
        self.sent: defaultdict[str, list[Sent]] = defaultdict(list)
        self.inbound: defaultdict[str, list[Inbound]] = defaultdict(list)
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._lock = threading.Lock()

    def uploaded(self, upload: Upload) -> None:
        with self._lock:
            self.uploads[upload.id] = upload

    def was_sent(self, sent: Sent) -> None:
        with self._lock:
            self.sent[sent.to].append(sent)

    def was_received(self, inbound: Inbound) -> None:
        with self._lock:
            self.inbound[inbound.sender].append(inbound)

    def condemn(self, media_id: str) -> bool:
        """Whether nobody has begun to delete it before."""
        with self._lock:
            fresh = media_id not in self.condemned
            self.condemned.add(media_id)
            return fresh

    def count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def accuse(self, what: str) -> None:
        with self._lock:
            self.wrong.append(what)

    def usable(self) -> list[Upload]:
        """Nobody deletes these yet."""
        with self._lock:
            return [upload for id_, upload in self.uploads.items() if id_ not in self.condemned]

    @property
    def all_sent(self) -> list[Sent]:
        return [one for messages in self.sent.values() for one in messages]

    @property
    def all_inbound(self) -> list[Inbound]:
        return [one for messages in self.inbound.values() for one in messages]
