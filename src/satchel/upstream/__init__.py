"""PORT Upstream: the network we hand to. `sandbox` now, `cloud` later; nothing outside this room branches on which it is."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from satchel.domain.incoming import Incoming
from satchel.domain.media import Rendition
from satchel.domain.messages import Outgoing


@dataclass(frozen=True)
class Config:
    """`url`: where the upstream listens; `secret`: shared with it, never shown; `number`: the business's own, digits."""

    kind: Literal["sandbox"] = "sandbox"
    url: str = "http://127.0.0.1:9091"
    secret: str = field(default="", repr=False)
    number: str = "12025550100"

    def __post_init__(self) -> None:
        if not (self.number.isascii() and self.number.isdigit()):
            raise ValueError("number must be digits only, with the country code")
        if not self.url.lower().startswith(("http://", "https://")):
            raise ValueError("url must begin with http:// or https://")


@dataclass(frozen=True)
class Copy:
    """A stored instance of a rendition: `address` is the adapter's own text, `expires_net` is network time in seconds."""

    address: str
    expires_net: float


@dataclass(frozen=True)
class Envelope:
    """One message to hand over. `id` is ours and the idempotency key; `world`: the one it was accepted under; `media`: None for a text."""

    id: str
    world: str | None
    message: Outgoing
    media: "Placed | None"


@dataclass(frozen=True)
class Placed:
    """A rendition and where it lies. `mime`: what the phone is told."""

    mime: str
    rendition: Rendition
    copy: Copy


@dataclass(frozen=True)
class Request:
    """A phone asks for the media of a message whose copy it cannot get. `asked`: the adapter's own text; `asked_net`: network time."""

    message: str
    recipient: str
    world: str
    asked_net: float
    asked: str


class Unrenewed(Enum):
    """Why there is no copy: not any more, not now (ask again), or because the request was not sealed with the message's key."""

    GONE = "gone"
    LATER = "later"
    UNDECRYPTABLE = "undecryptable"


@dataclass(frozen=True)
class UpstreamEvent:
    """Something the upstream reports. `kind`: "status", or another that we keep and do not act on; `body`: as it came, without keys.

    `received`: the message that it brings, and `source`, where its media lies and under which key, in the adapter's own text.
    `answer`: what the sender's phone says of the media of `message`, in the adapter's own text.
    `request`: of a phone that asks for media again.
    """

    dedupe_key: str
    kind: str
    body: dict[str, Any]
    message: str = ""
    status: str = ""
    at_net: float = 0.0
    offset: float | None = None
    received: Incoming | None = None
    source: str | None = field(default=None, repr=False)
    answer: str | None = field(default=None, repr=False)
    request: Request | None = None
    recipient: str = ""


@dataclass(frozen=True)
class UpstreamEvents:
    """One POST of the upstream, its signature verified."""

    world: str
    events: list[UpstreamEvent]


@dataclass(frozen=True)
class State:
    """`world` changes when the upstream forgot everything; `offset` = network time − wall time, seconds."""

    world: str
    offset: float


class StaleCopy(Exception):
    """The upstream does not hold the copy any more: put it there again, then send again."""


class Upstream(Protocol):
    """Every call raises `Later(UPSTREAM_DOWN)` when there is no answer.

    It raises `Fault(UPSTREAM_REFUSED | WORLD_RESET)` when the upstream refuses for good.
    """

    name: str

    async def put(self, rendition: Rendition, path: Path, known: str | None, force: bool = False) -> Copy:
        """Store the bytes at `path` encrypted under the rendition's key. `known`: address of an earlier copy, which may save the bytes.

        `force`: send them all, whatever the upstream believes it has: somebody could not get them there.
        Raises `Fault(MEDIA_CHANGED)` before anything leaves when the bytes are not the rendition's: a key never serves two.
        """

    async def send(self, envelope: Envelope) -> None:
        """Hand a message over. The same id again changes nothing. Raises `StaleCopy`."""

    def events(self, headers: Mapping[str, str], body: bytes) -> UpstreamEvents:
        """Verify and read what the upstream posted; `headers` have lower-case names. Raises `Fault(BAD_CREDENTIALS | BAD_REQUEST)`."""

    def fetch(self, source: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The plain bytes of received media, block by block. What came is good once the last block has, and not to be shown before.

        Raises, also between two blocks, `Fault(RECEIVED_GONE | RECEIVED_DAMAGED)` and `Later(UPSTREAM_DOWN)`.
        """

    async def state(self) -> State:
        """What the upstream says of itself."""

    async def close(self) -> None:
        """Let go of connections."""


@runtime_checkable
class Contacts(Protocol):
    """An upstream that knows who uses it."""

    async def on_network(self, numbers: Sequence[str]) -> list[bool]:
        """Whether each of these numbers, in digits, uses the network; in their order. Raises `Later(UPSTREAM_DOWN)`."""


@runtime_checkable
class Receipts(Protocol):
    """An upstream that takes receipts of the business."""

    async def mark_read(self, message: str) -> None:
        """The business has read this message. Raises `Fault(MESSAGE_UNKNOWN)`, `Later(UPSTREAM_DOWN)`."""


@runtime_checkable
class Asking(Protocol):
    """An upstream whose senders can be asked for media that it does not hold any more."""

    async def ask_sender(self, message: str, source: str) -> None:
        """Ask for the media of this message; the answer comes as an upstream event.

        Raises `Fault(RECEIVED_GONE)`, `Later(UPSTREAM_DOWN)`.
        """

    def sender_said(self, message: str, source: str, answer: str) -> str:
        """The source as it is after this answer. Raises `Fault(RECEIVED_GONE)` where the sender does not have it."""


@runtime_checkable
class Downloads(Protocol):
    """An upstream that knows what phones have fetched. A receipt would not tell."""

    async def downloaded(self, messages: Sequence[str]) -> set[str]:
        """Those of these messages whose phones have their media, a thousand at the most.

        Raises `Later(UPSTREAM_DOWN)`, `Fault(UPSTREAM_REFUSED)`.
        """


@runtime_checkable
class Renewing(Protocol):
    """An upstream whose phones ask for media again once a copy's time is over."""

    def opens(self, request: Request, media_key: bytes) -> bool:
        """Whether the request was made by somebody who has the media's key, for this message."""

    def names(self, request: Request, address: str) -> bool:
        """Whether the copy at this address is the one that the phone could not get."""

    async def renew(self, request: Request, media_key: bytes | None, answer: Copy | Unrenewed) -> None:
        """Tell the phone, in words only it can read where the key is known. Again is no harm.

        Raises `Fault(UPSTREAM_REFUSED | WORLD_RESET | MESSAGE_UNKNOWN)` where nobody listens any more, `Later(UPSTREAM_DOWN)`.
        """
