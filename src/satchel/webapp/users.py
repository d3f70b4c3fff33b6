"""POST /v1/users/login."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from satchel.domain.errors import NOT_SUPPORTED_YET, Fault
from satchel.flows.access import fits
from satchel.webapp import Webapp, bodies
from satchel.webapp.replies import reply


class Login:
    """Basic credentials for a token. Whatever body old clients send along is let be."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token, user = await self._webapp.gate.login(Headers(scope=scope).get("authorization"))
        wanted = _new_password(await bodies.whole(receive))
        if wanted is not None and not fits(user.password_hash, wanted):
            raise Fault(NOT_SUPPORTED_YET, "Changing the password is not supported yet: set SATCHEL_ADMIN_PASSWORD and restart.")
        expires = datetime.fromtimestamp(token.expires_at, UTC).strftime("%Y-%m-%d %H:%M:%S+00:00")
        await reply({"users": [{"token": token.value, "expires_after": expires}]})(scope, receive, send)


def _new_password(body: bytes) -> str | None:
    try:
        said: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    wanted = said.get("new_password") if isinstance(said, dict) else None
    return wanted if isinstance(wanted, str) else None
