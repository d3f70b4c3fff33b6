"""The envelope of wire section 1.3 and the numbers of 1.4: their shape and nothing else. Whether a copy is alive: `copies.py`."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .errors import invalid

MediaType = Literal["image", "video", "audio", "document", "sticker"]
Type = Literal["text", "template", "image", "video", "audio", "document", "sticker"]

# \Z and not $: $ would let a line feed at the end pass
Number = Annotated[str, Meta(pattern=r"\A[0-9]{7,15}\Z")]
MessageId = Annotated[str, Meta(pattern=r"\A[ -~]{1,128}\Z")]
Mime = Annotated[str, Meta(pattern=r"\A[!-.0-~]+/[!-~][ -~]*\Z", max_length=255)]
DirectPath = Annotated[str, Meta(pattern=r"\A/[!-~]+\Z", max_length=1024)]
Waveform = Annotated[list[Annotated[int, Meta(ge=0, le=100)]], Meta(min_length=64, max_length=64)]
Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]


class Media(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"sidecar": "streaming_sidecar"}):
    """What a phone needs to fetch, check and open one encrypted blob; `file_length` counts the plain bytes."""

    type: MediaType
    mime_type: Mime
    media_key: Bytes32
    direct_path: DirectPath
    file_sha256: Bytes32
    file_enc_sha256: Bytes32
    file_length: Annotated[int, Meta(ge=0)]
    sidecar: bytes | None = None
    waveform: Waveform | None = None

    def __repr__(self) -> str:
        return f"Media(type={self.type!r}, direct_path={self.direct_path!r})"  # no key in a log or a traceback


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"sender": "from"}):
    """One message for one phone."""

    world: str | None = None
    id: MessageId
    to: Number
    sender: Annotated[str, Meta(min_length=1, max_length=64)]
    type: Type
    text: str | None = None
    preview_url: bool | None = None
    template: dict[str, Any] | None = None
    caption: str | None = None
    filename: str | None = None
    media: Media | None = None
    ptt: bool | None = None  # with what a phone has sent, as are the next two: a voice note
    animated: bool | None = None
    context: dict[str, str] | None = None


class Asked(msgspec.Struct, frozen=True):
    """Numbers that the node wants to know about."""

    numbers: Annotated[list[Number], Meta(max_length=1000)]


class Sent(msgspec.Struct, frozen=True):
    """Messages that the node wants to know about."""

    messages: Annotated[list[MessageId], Meta(max_length=1000)]


class Answered(msgspec.Struct, frozen=True):
    """What the node says to a phone that has asked for media again: sealed, or the number of an error."""

    recipient: Number
    world: str | None = None
    enc_p: Annotated[bytes, Meta(max_length=4096)] = b""
    enc_iv: Annotated[bytes, Meta(max_length=64)] = b""
    error: Annotated[int, Meta(ge=0, le=999)] | None = None


_decoder = msgspec.json.Decoder(Envelope)


def parse(body: bytes) -> Envelope:
    """The envelope in a request body; refused as `invalid` with the member that is wrong."""
    try:
        envelope = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise invalid(f"The envelope does not follow the wire page: {error}.") from None
    _check(envelope)
    return envelope


def parse_numbers(body: bytes) -> list[str]:
    """The numbers in a request body of wire section 1.4."""
    try:
        return msgspec.json.decode(body, type=Asked).numbers
    except (msgspec.DecodeError, RecursionError) as error:
        raise invalid(f"The numbers do not follow the wire page: {error}.") from None


def parse_messages(body: bytes) -> list[str]:
    """The message ids in a request body of wire section 1.8."""
    try:
        return msgspec.json.decode(body, type=Sent).messages
    except (msgspec.DecodeError, RecursionError) as error:
        raise invalid(f"The messages do not follow the wire page: {error}.") from None


def parse_answered(body: bytes) -> Answered:
    """The body of wire section 4."""
    try:
        given = msgspec.convert({k: v for k, v in msgspec.json.decode(body, type=dict).items() if v is not None}, type=Answered)
    except (msgspec.DecodeError, RecursionError) as error:
        raise invalid(f"The answer does not follow the wire page: {error}.") from None
    if given.error is None and not (given.enc_p and given.enc_iv):
        raise invalid("The answer needs the members enc_p and enc_iv, or the member error.")
    return given


def _check(given: Envelope) -> None:
    """The members fit the type."""
    if given.type == "text":
        if given.text is None or given.media is not None:
            raise invalid("A message of type text needs the member text and no media.")
    elif given.type == "template":
        if given.template is None:
            raise invalid("A message of type template needs the member template.")
    elif given.media is None or given.media.type != given.type:
        raise invalid(f"A message of type {given.type} needs the member media with the same type.")


def stored(json: bytes) -> Envelope:
    """The envelope of a row, which was checked when it came in."""
    return _decoder.decode(json)
