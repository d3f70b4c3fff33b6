"""The JSON of the wire between node and sandbox (docs/reference/sandbox-wire.md): what goes out, what comes in, its signature."""

import hashlib
import hmac
import json
import re
import time
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog

from satchel.domain.errors import (
    BAD_CREDENTIALS,
    BAD_REQUEST,
    MESSAGE_UNKNOWN,
    NOT_ON_NETWORK,
    UPSTREAM_BUSY,
    UPSTREAM_REFUSED,
    WORLD_RESET,
    Fault,
)
from satchel.domain.members import shown
from satchel.domain.templates import without_sources
from satchel.upstream import Copy, Envelope, Placed, Request, StaleCopy, Unrenewed, UpstreamEvent, UpstreamEvents
from satchel.upstream.sandbox import incoming, retry
from satchel.upstream.sandbox.retry import Result

log = structlog.get_logger("satchel.upstream")
SIGNATURE = "satchel-sandbox-signature"
CLOCKS_APART = 300
REFUSALS = {
    "invalid": UPSTREAM_REFUSED,
    "hash_mismatch": UPSTREAM_REFUSED,
    "upload_refused": UPSTREAM_REFUSED,
    "wrong_offset": UPSTREAM_REFUSED,
    "wrong_world": WORLD_RESET,
    "not_on_network": NOT_ON_NETWORK,
    "rate_limited": UPSTREAM_BUSY,
    "unknown_message": MESSAGE_UNKNOWN,
}
"""What the sandbox's slugs mean here; `stale_copy` is no refusal."""
RESULTS = {
    Unrenewed.GONE: Result.NOT_FOUND,
    Unrenewed.LATER: Result.GENERAL_ERROR,
    Unrenewed.UNDECRYPTABLE: Result.DECRYPTION_ERROR,
}
NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""As JSON writes it; a backslash that is itself escaped is somebody's text."""
STATUSES = ("sent", "delivered", "read")
LONGEST_ID = 200
LATEST, FARTHEST = 253_402_300_799.0, 1e11
"""Seconds: the last time that is one (the end of 9999), and how far network time may be from the clocks of computers."""
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are no JSON of the shape asked for."""


class Address(msgspec.Struct, frozen=True):
    """Where the sandbox keeps a blob: the text in the copy table."""

    direct_path: str
    file_enc_sha256: bytes
    file_length: int
    sidecar: bytes | None = None

    @property
    def token(self) -> str:
        return upload_token(self.file_enc_sha256)


class _PostedEvent(msgspec.Struct, frozen=True):
    id: str
    kind: str
    message: str = ""
    recipient: str = ""
    status: str = ""
    at: float = 0.0
    offset: float | None = None
    direct_path: str = ""
    enc_p: str = ""
    enc_iv: str = ""


class _Asked(msgspec.Struct, frozen=True):
    """A phone's request: the text in the reupload table. Nothing of it is looked into before somebody answers."""

    direct_path: str
    enc_p: str
    enc_iv: str


class _Refused(msgspec.Struct, frozen=True):
    error: str
    details: str | None = None


class _Posted(msgspec.Struct, frozen=True):
    world: str
    events: list[Any]


def upload_token(file_enc_sha256: bytes) -> str:
    """The name of a blob in the upload path."""
    return urlsafe_b64encode(file_enc_sha256).decode().rstrip("=")


def envelope_json(envelope: Envelope, sender: str) -> bytes:
    """The body that hands one message over."""
    message = envelope.message
    body = {
        "world": envelope.world,
        "id": envelope.id,
        "to": message.to,
        "from": sender,
        "type": message.type,
        "text": message.text,
        "preview_url": message.preview_url or None,
        "template": None if message.template is None else without_sources(message.template),
        "caption": message.caption,
        "filename": message.filename,
        "media": None if envelope.media is None else _media_json(envelope.media),
    }
    return msgspec.json.encode({name: value for name, value in body.items() if value is not None})


def _media_json(placed: Placed) -> dict[str, Any]:
    address = msgspec.json.decode(placed.copy.address, type=Address)
    sidecar = {} if address.sidecar is None else {"streaming_sidecar": b64encode(address.sidecar).decode()}
    return {
        **sidecar,
        "type": placed.rendition.media_type,
        "mime_type": placed.mime,
        "media_key": b64encode(placed.rendition.media_key).decode(),
        "direct_path": address.direct_path,
        "file_sha256": b64encode(bytes.fromhex(placed.rendition.sha256)).decode(),
        "file_enc_sha256": b64encode(address.file_enc_sha256).decode(),
        "file_length": address.file_length,
    }


def contacts_json(numbers: Sequence[str]) -> bytes:
    """The body that asks who is on the network."""
    return msgspec.json.encode({"numbers": numbers})


class _Contact(msgspec.Struct, frozen=True):
    number: str
    on_network: bool


class Contacts(msgspec.Struct, frozen=True):
    """The answer to it."""

    contacts: list[_Contact]

    def of(self, numbers: Sequence[str]) -> list[bool]:
        """Whether each of these is on the network; one that was left out is not."""
        said = {contact.number: contact.on_network for contact in self.contacts}
        return [said.get(number, False) for number in numbers]


def downloads_json(messages: Sequence[str]) -> bytes:
    """The body that asks which messages' media phones have."""
    return msgspec.json.encode({"messages": messages})


class Downloads(msgspec.Struct, frozen=True):
    """The answer to it."""

    downloaded: list[str]


def refusal(body: bytes) -> Fault | StaleCopy | None:
    """What a 4xx answer means; None when it is nothing that the page names, so worth another try."""
    try:
        said = msgspec.json.decode(body, type=_Refused)
    except UNREADABLE:
        return None
    if said.error == "stale_copy":
        return StaleCopy(said.details or "")
    if said.error in REFUSALS:
        advice = " Send it again later." if said.error == "rate_limited" else ""
        return Fault(REFUSALS[said.error], f"The network refused the message: {said.details or said.error}{advice}")
    return None


def sign(secret: str, body: bytes, at: int) -> str:
    """The signature header's value for a body posted at this wall time, in seconds."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={mac.hexdigest()}"


def verified(secret: str, headers: Mapping[str, str], body: bytes, now: float | None = None) -> None:
    """Raise `Fault(BAD_CREDENTIALS)` unless the body was signed with the secret within the last five minutes."""
    given = headers.get(SIGNATURE, "")
    stamp = given.partition(",")[0].removeprefix("t=")
    at = int(stamp) if stamp.isascii() and stamp.isdigit() and len(stamp) < 16 else 0
    if not secret or not hmac.compare_digest(sign(secret, body, at).encode(), given.encode()):
        raise Fault(
            BAD_CREDENTIALS, "The signature does not fit: start node and sandbox with the same secret, see SATCHEL_UPSTREAM__SECRET."
        )
    if abs((time.time() if now is None else now) - at) > CLOCKS_APART:
        raise Fault(BAD_CREDENTIALS, f"The signature is more than {CLOCKS_APART} s away from this node's clock: set both clocks.")


def read_events(body: bytes) -> UpstreamEvents:
    """Read a verified body; events that cannot be are left out. Raises `Fault(BAD_REQUEST)`."""
    try:
        posted = _posted(body)
        events = [event for item in posted.events if (event := _sensible(item, posted.world)) is not None]
    except UNREADABLE as error:
        raise Fault(BAD_REQUEST, f"The body is no list of upstream events: {error}.") from error
    if not _is_exact(posted.world) or "\0" in posted.world or len(posted.world) > LONGEST_ID:
        raise Fault(BAD_REQUEST, f"The world holds a NUL, which no database takes, or is longer than {LONGEST_ID} characters.")
    return UpstreamEvents(posted.world, events)


def _posted(body: bytes) -> _Posted:
    """The events of a body, apart. One that only a careless reader takes must not cost the others: `json` is such a reader."""
    try:
        return msgspec.json.decode(body, type=_Posted)
    except UNREADABLE as error:
        try:
            careless = msgspec.convert(json.loads(body), _Posted)
        except (*UNREADABLE, ValueError):
            raise error from None
    exact = [item for item in careless.events if _is_exact(item)]
    details = "it holds half a character, or a number that is none"
    log.warning("upstream_event_dropped", count=len(careless.events) - len(exact), details=details)
    return _Posted(careless.world, exact)


def _is_exact(value: Any) -> bool:
    """Whether every text of it is Unicode and every number one."""
    try:
        msgspec.json.decode(json.dumps(value))
    except UNREADABLE:
        return False
    return True


def _sensible(given: Any, world: str) -> UpstreamEvent | None:
    """None for an event that cannot be: refused it would come again for ever, and taken it would be in the way of whoever reads it."""
    try:
        given = _named(msgspec.convert(given, dict[str, Any]))
        event = _upstream_event(given, world)
        why = "it holds a NUL, which no database takes" if NUL.search(msgspec.json.encode(given)) else _nonsense(event)
    except msgspec.ValidationError as error:
        event, why = None, str(error)
    if why:
        log.warning("upstream_event_dropped", event_id=shown(given.get("id")) if isinstance(given, dict) else None, details=why)
    return None if why else event


def _named(given: dict[str, Any]) -> dict[str, Any]:
    """A NUL in a name costs the name no more than that, and its message nothing: somebody waits for it."""
    names = {
        name: given[name].replace("\0", "") for name in ("name", "filename") if isinstance(given.get(name), str) and "\0" in given[name]
    }
    return {**given, **names} if names and given.get("kind") == "message" else given


def _nonsense(event: UpstreamEvent) -> str:
    """What is wrong with an event of the right form; empty for nothing."""
    if not 0 < len(event.dedupe_key) <= LONGEST_ID:
        return f"its id has {len(event.dedupe_key)} characters and must have 1 to {LONGEST_ID}"
    at_net = event.at_net if event.received is None else event.received.at_net
    if not 0 <= at_net <= LATEST or not abs(event.offset or 0.0) <= FARTHEST:
        return "its time is none"
    return f"its status is none of {', '.join(STATUSES)}" if event.kind == "status" and event.status not in STATUSES else ""


def _upstream_event(given: dict[str, Any], world: str) -> UpstreamEvent:
    said = {name: value for name, value in given.items() if value is not None}
    if said.get("kind") == "message":
        return _received(said)
    read = msgspec.convert(said, type=_PostedEvent)
    offset, answer = read.offset if read.kind == "state" else None, None
    if read.kind == "media_retry_answer":
        answer = msgspec.json.encode({name: said[name] for name in ("enc_p", "enc_iv", "error") if name in said}).decode()
    request = _request(read, world) if read.kind == "media_retry" else None
    return UpstreamEvent(
        *(read.id, read.kind, given, read.message, read.status, read.at, offset), answer=answer, request=request, recipient=read.recipient
    )


def _received(said: dict[str, Any]) -> UpstreamEvent:
    """Somebody sent the business something. What cannot be told of is taken and dropped: it would only come again."""
    event_id = msgspec.convert(said.get("id"), type=str)
    found = incoming.read(said)
    if found is None:
        return UpstreamEvent(event_id, "message", incoming.without_key(said))
    message = found.message
    return UpstreamEvent(event_id, "message", incoming.without_key(said), message.id, received=message, source=found.source)


def _request(read: _PostedEvent, world: str) -> Request:
    asked = _Asked(read.direct_path, read.enc_p, read.enc_iv)
    return Request(read.message, read.recipient, world, read.at, msgspec.json.encode(asked).decode())


def failed_path(request: Request) -> str:
    """The address that led the phone nowhere."""
    return msgspec.json.decode(request.asked, type=_Asked).direct_path


def opens(request: Request, media_key: bytes) -> bool:
    """Whether a request was sealed with this key for this message."""
    asked = msgspec.json.decode(request.asked, type=_Asked)
    try:
        sealed = retry.Sealed(b64decode(asked.enc_p, validate=True), b64decode(asked.enc_iv, validate=True))
        retry.open_request(media_key, request.message, sealed)
    except (ValueError, retry.Unreadable):
        return False
    return True


def answer_json(request: Request, media_key: bytes | None, answer: Copy | Unrenewed) -> bytes:
    """The body that answers a request: sealed, or the bare number of an error where no key opens what the phone has."""
    body: dict[str, Any] = {"world": request.world, "recipient": request.recipient}
    said = _said(answer)
    if media_key is None or said.result is Result.DECRYPTION_ERROR:
        return msgspec.json.encode({**body, "error": int(said.result)})
    sealed = retry.seal_answer(media_key, request.message, said)
    return msgspec.json.encode({**body, "enc_p": b64encode(sealed.enc_p).decode(), "enc_iv": b64encode(sealed.enc_iv).decode()})


def _said(answer: Copy | Unrenewed) -> retry.Answer:
    if isinstance(answer, Copy):
        return retry.Answer(Result.SUCCESS, msgspec.json.decode(answer.address, type=Address).direct_path)
    return retry.Answer(RESULTS[answer])
