"""A user's login: the token is fetched when it is first needed, and again before its seven days are over or when it is refused."""

import base64
import http.client
import time
from datetime import datetime
from threading import Lock

from satchel.client.errors import NotAllowed, SatchelError
from satchel.client.transport import Again, Body, Connection, Target, Transport

DAY = 86400.0


class Session(Transport):
    """A transport that logs in by itself; safe for several threads."""

    def __init__(self, url: str, user: str, password: str, ca: str | None = None) -> None:
        super().__init__(Target(url, "", ca))
        self._basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._lock = Lock()
        self._known, self._until = "", 0.0

    @property
    def token(self) -> str:
        """One that is valid now. Raises `NotAllowed` for a wrong password."""
        with self._lock:
            if time.time() >= self._until:
                self._log_in()
            return self._known

    def log_out(self) -> None:
        """End the token, if there is one."""
        if self._known:
            self.json("POST", "/v1/users/logout", b"{}")
            self._known, self._until = "", 0.0

    def _token(self) -> str:
        return self.token

    def _answered(self, method: str, path: str, body: Body, headers: dict[str, str]) -> tuple[Connection, http.client.HTTPResponse]:
        used = self.token
        try:
            return super()._answered(method, path, body, headers)
        except NotAllowed as error:
            if error.status != 401 or not _rewound(body):
                raise
        with self._lock:
            if self._known == used:  # else another thread was here before
                self._log_in()
        return super()._answered(method, path, body, headers)

    def _log_in(self) -> None:
        said = Transport(self._target).json("POST", "/v1/users/login", b"", {"Authorization": f"Basic {self._basic}"})
        try:
            (user,) = said["users"]
            left = datetime.fromisoformat(user["expires_after"]).timestamp() - time.time()
            self._known = str(user["token"])
        except (KeyError, ValueError, TypeError) as error:
            raise SatchelError(f"{self._target.url} does not answer a login as the contract says: is it a media node?") from error
        self._until = time.time() + max(left - DAY, left / 2)


def _rewound(body: Body) -> bool:
    if isinstance(body, bytes) or body is None:
        return True
    return isinstance(body, Again) and body.rewind()
