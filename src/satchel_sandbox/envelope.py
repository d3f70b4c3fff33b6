"""The envelope of wire section 1.3: its shape and nothing else. Whether its copy is alive is decided in `network.py`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .errors import invalid

MediaType = Literal["image", "video", "audio", "document", "sticker"]

# \Z and not $: $ would let a line feed at the end pass
Number = Annotated[str, Meta(pattern=r"\A[0-9]{7,15}\Z")]
MessageId = Annotated[str, Meta(pattern=r"\A[ -~]{1,128}\Z")]
Mime = Annotated[str, Meta(pattern=r"\A[!-.0-~]+/[!-~][ -~]*\Z", max_length=255)]
DirectPath = Annotated[str, Meta(pattern=r"\A/[!-~]+\Z", max_length=1024)]
Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """What a phone needs to fetch, check and open one encrypted blob; `file_length` counts the plain bytes."""

    type: MediaType
    mime_type: Mime
    media_key: Bytes32
    direct_path: DirectPath
    file_sha256: Bytes32
    file_enc_sha256: Bytes32
    file_length: Annotated[int, Meta(ge=0)]


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"sender": "from"}):
    """One message for one phone."""

    world: str | None = None
    id: MessageId
    to: Number
    sender: Annotated[str, Meta(min_length=1, max_length=64)]
    type: Literal["text", "image", "video", "audio", "document", "sticker"]
    text: str | None = None
    caption: str | None = None
    filename: str | None = None
    media: Media | None = None


_decoder = msgspec.json.Decoder(Envelope)


def parse(body: bytes) -> Envelope:
    """The envelope in a request body; refused as `invalid` with the member that is wrong."""
    try:
        envelope = _decoder.decode(body)
    except msgspec.DecodeError as error:
        raise invalid(f"The envelope does not follow the wire page: {error}.") from None
    if envelope.type == "text":
        if envelope.text is None or envelope.media is not None:
            raise invalid("A message of type text needs the member text and no media.")
    elif envelope.media is None or envelope.media.type != envelope.type:
        raise invalid(f"A message of type {envelope.type} needs the member media with the same type.")
    return envelope


def stored(json: bytes) -> Envelope:
    """The envelope of a row, which was checked when it came in."""
    return _decoder.decode(json)
