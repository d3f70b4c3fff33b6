"""A client for the sandbox's own API: phones, clock, chaos. It needs no token."""

import http.client
import json
from collections.abc import Sequence
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

from satchel.client.connection import connect, why
from satchel.client.errors import ClientError, Unreachable, refusal

Said = dict[str, Any]
PATIENCE = 90.0
"""Seconds for an answer: longer than the sandbox lets anybody wait."""


class Sandbox:
    """Every call opens a connection of its own and raises `ClientError` or `Unreachable`; answers are the sandbox's JSON."""

    def __init__(self, url: str) -> None:
        self._url = url

    def status(self) -> Said:
        """The world, network time, how many phones, messages and events there are, and the stages of chaos."""
        return self._call("GET", "/sandbox/status")

    def reset(self) -> Said:
        """Forget everything and begin a new world."""
        return self._call("POST", "/sandbox/reset")

    def clock(self) -> Said:
        """Network time (RFC 3339), and how many seconds it is ahead of the computer's."""
        return self._call("GET", "/sandbox/clock")

    def advance(self, duration: str) -> Said:
        """Move network time forward (`90s`, `15m`, `14d`); the answer lists what happened by that."""
        return self._call("PUT", "/sandbox/clock", {"advance": duration})

    def chaos(self) -> Said:
        """The stages that fail or are slow, as they were set."""
        return self._call("GET", "/sandbox/chaos")

    def set_chaos(self, stages: Said) -> Said:
        """Replaces what was set before; none ends it."""
        return self._call("PUT", "/sandbox/chaos", stages)

    def seed(self, number: int) -> Said:
        """The same number makes the same ones fail."""
        return self._call("POST", "/sandbox/seed", {"random_seed": number})

    def phones(self) -> list[Said]:
        """All of them, with their settings."""
        return list(self._call("GET", "/sandbox/phones")["phones"])

    def add_phone(self, number: str | None, given: Said) -> Said:
        """A new phone; a free number of the fiction range unless one is given."""
        return self._call("POST", "/sandbox/phones", {**given, **({"number": number} if number else {})})

    def phone(self, number: str) -> Said:
        """One phone, with its settings."""
        return self._call("GET", _of(number))

    def change_phone(self, number: str, given: Said) -> Said:
        """Change what is named; the phone as it is then."""
        return self._call("PATCH", _of(number), given)

    def act(self, number: str, do: str, message: str | None = None, wait: str = "0", to: str | None = None) -> Said:
        """What a person does with a phone; `message`: an id or `latest`. `wait`: how long its media may take; `to`: whom to forward to."""
        path = f"{_of(number)}/actions?{urlencode({'wait': wait})}"
        return self._call("POST", path, {"do": do, **({"message": message} if message else {}), **({"to": to} if to else {})})

    def messages(self, number: str, match: Sequence[str] = (), after: str | None = None, wait: str = "0") -> list[Said]:
        """What is on a phone, the oldest first. `match`: such as `type=image`; `wait`: for the newest that fits to come to rest."""
        query = [("wait", wait), *(("match", one) for one in match), *([("after", after)] if after else [])]
        return list(self._call("GET", f"{_of(number)}/messages?{urlencode(query)}")["messages"])

    def media(self, number: str, message: str) -> bytes:
        """The plain bytes that a phone holds of a message."""
        return self._fetch("GET", f"{_of(number)}/messages/{quote(message, safe='')}/media", None)

    def give(self, number: str, file: BinaryIO) -> str:
        """Put a file onto a phone, to be sent from it any number of times; its name there."""
        return str(self._call("POST", f"{_of(number)}/files", file)["file"])

    def send(self, number: str, said: Said) -> Said:
        """A message from this phone: `type`, `text` or `file` (what `give` answered), `caption`, `filename`, `mime_type`, `reply_to`."""
        return dict(self._call("POST", f"{_of(number)}/actions", {"do": "send", **said})["message"])

    def react(self, number: str, message: str, emoji: str) -> Said:
        """An emoji under a message of this phone (its id, or latest); an empty one takes it away."""
        return dict(self._call("POST", f"{_of(number)}/actions", {"do": "react", "message": message, "emoji": emoji})["message"])

    def conversations(self, number: str) -> list[Said]:
        """The conversations on a phone."""
        return list(self._call("GET", f"{_of(number)}/conversations")["conversations"])

    def blocks(self, number: str, business: str, system: str | None = None) -> list[Said]:
        """A conversation as a phone draws it. `system`: android or iphone in place of the phone's own."""
        query = f"?as={quote(system)}" if system else ""
        return list(self._call("GET", f"{_of(number)}/conversations/{quote(business, safe='')}/blocks{query}")["blocks"])

    def newest_blocks(self, number: str) -> list[Said]:
        """The same of the newest conversation; nothing where nobody has written yet."""
        try:
            return self.blocks(number, "latest")
        except ClientError as error:
            if error.slug != "unknown_conversation":
                raise
            return []

    def _call(self, method: str, path: str, body: Said | BinaryIO | None = None) -> Said:
        said = self._fetch(method, path, body)
        try:
            return dict(json.loads(said))
        except ValueError as error:
            raise self._no_sandbox() from error

    def _fetch(self, method: str, path: str, body: Said | BinaryIO | None) -> bytes:
        connection, prefix = connect(self._url, timeout=PATIENCE)
        try:
            connection.request(method, prefix + path, json.dumps(body).encode() if isinstance(body, dict) else body)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{why(self._url, error)} The sandbox comes with satchel dev.") from error
        finally:
            connection.close()
        if answer.status >= 300:
            raise self._refused(answer, said)
        return said

    def _refused(self, answer: http.client.HTTPResponse, said: bytes) -> Exception:
        try:
            told = json.loads(said)
            slug, details = str(told["error"]), str(told.get("details", answer.reason))
        except (ValueError, KeyError, TypeError):
            return self._no_sandbox()
        return refusal(answer.status, 0, slug, details, slug)

    def _no_sandbox(self) -> Unreachable:
        return Unreachable(f"What answers at {self._url} is no sandbox. The sandbox comes with satchel dev, at a port of its own.")


def _of(number: str) -> str:
    return f"/sandbox/phones/{quote(number, safe='')}"
