"""`Satchel`: a node as integrations see it, one attribute for each part of the API. It rests on `Client`, which commands use as it is."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Self

from satchel.client import Client, Download, Media, Uploaded
from satchel.client.errors import SatchelError, SendFailed, TimedOut
from satchel.client.session import Session
from satchel.client.source import Given
from satchel.client.transport import Target, Transport

SETTINGS = "/v1/settings/application"
AT_LEAST = {"sent": ("sent", "delivered", "read"), "delivered": ("delivered", "read"), "read": ("read",), "failed": ("failed",)}
FIRST_LOOK, LONGEST_LOOK = 0.02, 0.25
"""Seconds between two looks at a message."""


@dataclass(frozen=True)
class Contact:
    """`input`: the number as it was asked for; `status`: valid, invalid or processing; `wa_id`: its digits, where it is valid."""

    input: str
    status: str
    wa_id: str | None = None


class Satchel:
    """A node. Give a user's name and password, or a token; `ca`: a PEM file to trust over https besides the machine's own.

    Every call raises a `SatchelError`.
    """

    def __init__(
        self, url: str, *, user: str | None = None, password: str | None = None, token: str | None = None, ca: str | None = None
    ) -> None:
        self.url, self._given = url.rstrip("/"), token
        if (token is None) == (user is None or password is None):
            raise ValueError("Give user and password, or a token.")
        target = Target(self.url, token or "", ca)
        self._session = None if token else Session(self.url, str(user), str(password), ca)
        transport = self._session or Transport(target)
        client = Client(target, transport)
        self.media = MediaNode(client)
        self.send = Sending(client)
        self.messages = Messages(client)
        self.webhooks = Webhooks(client)
        self.contacts = Contacts(transport)
        self.settings = ApplicationSettings(transport)

    @property
    def token(self) -> str:
        """The bearer token that calls go out with."""
        return self._session.token if self._session else str(self._given)

    def close(self) -> None:
        """Log out, if it was we who logged in."""
        if self._session:
            try:
                self._session.log_out()
            except SatchelError:
                pass  # the node is gone, or the token is: nothing is left to end

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class MediaNode:
    """`/v1/media`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def upload(self, source: Given, mime: str | None = None) -> Uploaded:
        """Store a file, streamed. `mime`: guessed from the file's name unless given. Raises `FileUnreadable`, `StorageTrouble`."""
        return self._client.upload(source, mime)

    def get(self, media_id: str) -> bytes:
        """The bytes, all at once; `stream` gives them in blocks."""
        with self._client.get(media_id) as download:
            return b"".join(download.blocks)

    def stream(self, media_id: str) -> AbstractContextManager[Download]:
        """The bytes in blocks, for use in a `with`."""
        return self._client.get(media_id)

    def delete(self, media_id: str) -> None:
        """Gone for readers at once; what was accepted before still goes out."""
        self._client.delete(media_id)

    def info(self, media_id: str) -> Media:
        """What the node knows of it."""
        return self._client.info(media_id)

    def list(self, **filters: str) -> Iterator[Media]:
        """All of them, the newest first. `filters`: direction, user, mime."""
        return (media for page in self._client.pages(100, **filters) for media in page.media)


class Message:
    """A message that was accepted."""

    def __init__(self, client: Client, message_id: str) -> None:
        self._client, self.id = client, message_id

    def info(self) -> dict[str, Any]:
        """What the node knows of it: steps, statuses, callbacks."""
        return self._client.message(self.id)

    @property
    def statuses(self) -> list[str]:
        """Those it has by now, in their order."""
        return [str(one["status"]) for one in self.info()["statuses"]]

    def wait(self, status: str = "delivered", timeout: float = 10.0) -> Self:
        """Until it has the status, or one beyond it; `timeout`: seconds. Raises `SendFailed` when it fails, and `TimedOut`."""
        look_again, until = FIRST_LOOK, time.monotonic() + timeout
        while True:
            info = self.info()
            known = [str(one["status"]) for one in info["statuses"]]
            if set(AT_LEAST[status]) & set(known):
                return self
            if "failed" in known:
                raise _failed(self.id, info)
            if time.monotonic() + look_again > until:
                has = f"it has {known or 'no status'}. {info['why'] or ''}"
                raise TimedOut(f"The message {self.id} is not {status} after {timeout:g} s; {has}")
            time.sleep(look_again)
            look_again = min(look_again * 1.5, LONGEST_LOOK)


class Sending:
    """`POST /v1/messages`, a call for each type. `media`: an id, or what `upload` gave; `to`: a number in any human form."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def text(self, to: str, body: str, preview_url: bool = False) -> Message:
        """A text of up to 4096 characters."""
        return Message(self._client, self._client.send_text(to, body, preview_url))

    def image(self, to: str, media: Uploaded | str | None = None, link: str | None = None, caption: str | None = None) -> Message:
        """A picture."""
        return self._send("image", to, media, link, caption)

    def video(self, to: str, media: Uploaded | str | None = None, link: str | None = None, caption: str | None = None) -> Message:
        """A film."""
        return self._send("video", to, media, link, caption)

    def audio(self, to: str, media: Uploaded | str | None = None, link: str | None = None) -> Message:
        """A recording; it has no caption."""
        return self._send("audio", to, media, link)

    def document(
        self, to: str, media: Uploaded | str | None = None, link: str | None = None, caption: str | None = None, filename: str | None = None
    ) -> Message:
        """Any file."""
        return self._send("document", to, media, link, caption, filename)

    def sticker(self, to: str, media: Uploaded | str | None = None, link: str | None = None) -> Message:
        """A WebP of 512 × 512 pixels."""
        return self._send("sticker", to, media, link)

    def _send(
        self, type_: str, to: str, media: Uploaded | str | None, link: str | None, caption: str | None = None, filename: str | None = None
    ) -> Message:
        media_id = media.id if isinstance(media, Uploaded) else media
        return Message(self._client, self._client.send(type_, to, media_id, link=link, caption=caption, filename=filename))


class Messages:
    """What was sent."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, **filters: str) -> Iterator[dict[str, Any]]:
        """All of them, the newest first. `filters`: state, to, type."""
        return (message for page in self._client.messages(100, **filters) for message in page)

    def get(self, message_id: str) -> Message:
        """One that was sent before, to ask or to wait for."""
        return Message(self._client, message_id)

    def retry(self, message_id: str) -> Message:
        """Send one again that failed before the network had it. For administrators."""
        self._client.retry(message_id)
        return Message(self._client, message_id)


class Webhooks:
    """Callbacks, for administrators."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, state: str | None = None, limit: int = 100) -> Sequence[dict[str, Any]]:
        """The last ones, the newest first. `state`: waiting, done, dead or unsent."""
        return self._client.callbacks(state, limit)

    def get(self, callback_id: str) -> dict[str, Any]:
        """One, with its attempts."""
        return self._client.callback(callback_id)

    def replay(self, ids: Sequence[str] = (), *, failed: bool = False, since: str | None = None, to: str | None = None) -> Sequence[str]:
        """Tell these again, those that nobody took, or those of the last such as `2h`; the ids of the new ones."""
        return self._client.replay(ids, failed=failed, since=since, to=to)

    def test(self) -> str:
        """Put down a callback that says nothing; its id."""
        return self._client.test_webhook()


class Contacts:
    """`POST /v1/contacts`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def check(self, numbers: Sequence[str], blocking: bool = True) -> list[Contact]:
        """Who of them is on the network, in their order."""
        asked = {"contacts": list(numbers), "blocking": "wait" if blocking else "no_wait"}
        said = self._transport.json("POST", "/v1/contacts", json.dumps(asked).encode())
        return [Contact(one["input"], one["status"], one.get("wa_id")) for one in said["contacts"]]


class ApplicationSettings:
    """`/v1/settings/application`, for administrators."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self) -> dict[str, Any]:
        """All, with their defaults."""
        return dict(self._transport.json("GET", SETTINGS)["settings"]["application"])

    def change(self, **settings: Any) -> None:
        """Change what is named; None sets back."""
        self._transport.json("PATCH", SETTINGS, json.dumps(settings).encode())

    def reset(self) -> None:
        """Back to the defaults, the webhook's address included."""
        self._transport.json("DELETE", SETTINGS)


def _failed(message_id: str, info: dict[str, Any]) -> SendFailed:
    fault = info.get("fault") or {"code": 0, "title": "", "details": "no reason was given"}
    said = f"The message {message_id} failed: {fault.get('details') or fault['title']} (code {fault['code']})"
    return SendFailed(said, code=int(fault["code"]), title=str(fault["title"]), details=str(fault.get("details", "")))
