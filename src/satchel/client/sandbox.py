"""A client for the sandbox's own API: phones, clock, chaos. It needs no token. What phones have received is fetched where it is shown."""

import http.client
import json
from typing import Any
from urllib.parse import quote

from satchel.client.connection import Unreachable, connect, why
from satchel.client.transport import ClientError

Said = dict[str, Any]
PATIENCE = 90.0
"""Seconds for an answer: longer than the sandbox lets anybody wait."""


class Sandbox:
    """Every call opens a connection of its own and raises `ClientError` or `Unreachable`; answers are the sandbox's JSON."""

    def __init__(self, url: str) -> None:
        self._url = url

    def status(self) -> Said:
        return self._call("GET", "/sandbox/status")

    def reset(self) -> Said:
        """Forget everything and begin a new world."""
        return self._call("POST", "/sandbox/reset")

    def clock(self) -> Said:
        return self._call("GET", "/sandbox/clock")

    def advance(self, duration: str) -> Said:
        """Move network time forward (`90s`, `15m`, `14d`); the answer lists what happened by that."""
        return self._call("PUT", "/sandbox/clock", {"advance": duration})

    def chaos(self) -> Said:
        return self._call("GET", "/sandbox/chaos")

    def set_chaos(self, stages: Said) -> Said:
        """Replaces what was set before; none ends it."""
        return self._call("PUT", "/sandbox/chaos", stages)

    def seed(self, number: int) -> Said:
        """The same number makes the same ones fail."""
        return self._call("POST", "/sandbox/seed", {"random_seed": number})

    def phones(self) -> list[Said]:
        return list(self._call("GET", "/sandbox/phones")["phones"])

    def add_phone(self, number: str | None, given: Said) -> Said:
        """A new phone; a free number of the fiction range unless one is given."""
        return self._call("POST", "/sandbox/phones", {**given, **({"number": number} if number else {})})

    def act(self, number: str, do: str, message: str | None = None, wait: str = "0") -> Said:
        """What a person does with a phone; `message`: an id or `latest`. `wait`: how long its media may take."""
        path = f"/sandbox/phones/{quote(number, safe='')}/actions?wait={quote(wait, safe='')}"
        return self._call("POST", path, {"do": do, **({"message": message} if message else {})})

    def _call(self, method: str, path: str, body: Said | None = None) -> Said:
        connection, prefix = connect(self._url, timeout=PATIENCE)
        try:
            connection.request(method, prefix + path, None if body is None else json.dumps(body).encode())
            answer = connection.getresponse()
            said: Said = json.loads(answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{why(self._url, error)} The sandbox comes with satchel dev.") from error
        except ValueError as error:
            raise Unreachable(f"What answers at {self._url} is no sandbox. The sandbox comes with satchel dev.") from error
        finally:
            connection.close()
        if answer.status >= 300:
            slug = str(said.get("error", ""))
            raise ClientError(answer.status, 0, slug, str(said.get("details", answer.reason)), slug)
        return said
