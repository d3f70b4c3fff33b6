"""Messages that somebody sent to the business: what they say, and the callback that tells of them. Not how their media is fetched."""

from dataclasses import dataclass
from typing import Any

from satchel.domain.errors import UNKNOWN_TYPE, Fault
from satchel.domain.statuses import errors_of

UNDOWNLOADED, DOWNLOADED = "undownloaded", "downloaded"


@dataclass(frozen=True)
class Offered:
    """Media that came with a message. `size`: plain bytes; `sha256`: 64 hexadecimal digits; both as the sender says.

    `animated`: of a sticker; `metadata`: of a sticker, the pack it belongs to.
    """

    mime: str
    size: int
    sha256: str
    filename: str | None = None
    caption: str | None = None
    animated: bool | None = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True)
class Incoming:
    """A message to the business. `sender`: digits; `name`: of the sender's profile; `at_net`: network time, seconds.

    `type`: as callbacks name it, `unknown` for one that nobody here knows; `reaction`: to which message, with which emoji.
    """

    id: str
    sender: str
    name: str
    at_net: float
    type: str
    text: str | None = None
    reaction: dict[str, str] | None = None
    context: dict[str, Any] | None = None
    media: Offered | None = None

    @property
    def cause(self) -> str:
        """What its callback is made once for."""
        return f"message:{self.id}"


def body_of(message: Incoming, media_id: str | None = None, file: str | None = None, fault: Fault | None = None) -> dict[str, Any]:
    """The callback's body: one message. `file`: the path of its media, None for what was not fetched; `fault`: why not."""
    told: dict[str, Any] = {"from": message.sender, "id": message.id, "timestamp": str(int(message.at_net)), "type": message.type}
    if message.context:
        told["context"] = message.context
    if message.type == "unknown":
        told["errors"] = errors_of(Fault(UNKNOWN_TYPE, "Message type is not currently supported"))
    elif message.media is not None and media_id is not None:
        told[message.type] = _media(message.media, media_id, file)
    elif message.reaction is not None:
        told["reaction"] = message.reaction
    else:
        told["text"] = {"body": message.text or ""}
    if fault is not None:
        told["errors"] = errors_of(fault)
    return {"contacts": [{"profile": {"name": message.name}, "wa_id": message.sender}], "messages": [told]}


def _media(media: Offered, media_id: str, file: str | None) -> dict[str, Any]:
    where = {"status": UNDOWNLOADED} if file is None else {"file": file}
    said = {name: value for name in ("caption", "filename", "metadata", "animated") if (value := getattr(media, name)) is not None}
    return {"id": media_id, **where, "mime_type": media.mime, "sha256": media.sha256, **said}


def items_body(type_: str, media_id: str, mime: str, sha256: str, fault: Fault | None = None) -> dict[str, Any]:
    """The callback's body after a download that was asked for. `fault`: why there is still no file."""
    state = DOWNLOADED if fault is None else UNDOWNLOADED
    item: dict[str, Any] = {"type": type_, type_: {"id": media_id, "mime_type": mime, "sha256": sha256, "status": state}}
    return {"media_items": [item if fault is None else {**item, "errors": errors_of(fault)}]}
