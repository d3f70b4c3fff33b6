"""Media that a phone has had and asks for again, two weeks later."""

import io
from itertools import count
from pathlib import Path

from PIL import Image

from .running import Json, Node

NUMBERS = count(0)
Media = tuple[str, str, str]


def number() -> str:
    return f"1202556{next(NUMBERS):04}"


def picture(colour: int) -> bytes:
    """A PNG with transparency, so that what goes out is made by post-processing; of its own bytes for each colour."""
    file = io.BytesIO()
    Image.new("RGBA", (64, 64), (colour % 256, colour // 256, 9, 128)).save(file, "PNG")
    return file.getvalue()


def a_picture() -> bytes:
    return picture(next(NUMBERS))


def at_phone(node: Node, body: bytes | None = None, type_: str = "image", phone: str | None = None) -> Media:
    """A media that a phone has had and forgotten; media, number and message."""
    phone = phone or number()
    media = node.upload(body or a_picture(), "image/png" if type_ == "image" else "text/plain")
    message = node.send(phone, type_, media)
    assert node.phone_until(phone, 1)[-1]["media"]["state"] == "downloaded"
    node.act(phone, "forget", message)
    return media, phone, message


def ask(node: Node, sent: Media, advance: str = "15d") -> Json:
    """The media of a message as its phone has it after it has asked for it, two weeks later."""
    if advance:
        node.advance(advance)
    media: Json = node.act(sent[1], "download", sent[2], wait="40s")["media"]
    return media


def envelope(node: Node, sent: Media) -> Json:
    media: Json = node.http.get(f"{node.sandbox_url}/sandbox/phones/{sent[1]}/messages/{sent[2]}/envelope").json()["media"]
    return media


def file_of(node: Node, media: str) -> Path:
    return node.place.data_dir / "media" / "shared" / media


def steps(node: Node, sent: Media) -> list[tuple[str, str]]:
    told = node.call("GET", f"/_satchel/v1/messages/{sent[2]}").json()["messages"][0]["steps"]
    return [(step["step"], step["outcome"]) for step in told if step["step"] in ("media_requested", "media_reuploaded")]
