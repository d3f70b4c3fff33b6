"""The routes and the door in front of them: paths made plain, faults made envelopes, one log line a request."""

import time

import structlog
from starlette.exceptions import HTTPException
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from satchel.domain.errors import BUG, NOT_FOUND, WRONG_METHOD, Fault, Later
from satchel.webapp import Webapp
from satchel.webapp.health import Live, Ready
from satchel.webapp.media import Media, OneMedia
from satchel.webapp.messages import Messages
from satchel.webapp.replies import Draining, error_reply
from satchel.webapp.settings import Application
from satchel.webapp.upstream_events import UpstreamEvents
from satchel.webapp.users import Login

log = structlog.get_logger("satchel.webapp")


def routes(webapp: Webapp) -> list[Route]:
    """Every address of the node."""
    return [
        Route("/v1/users/login", Login(webapp), methods=["POST"]),
        Route("/v1/media", Media(webapp), methods=["POST"]),
        Route("/v1/media/{id:path}", OneMedia(webapp), methods=["GET", "DELETE"]),
        Route("/v1/messages", Messages(webapp), methods=["POST"]),
        Route("/v1/settings/application", Application(webapp), methods=["GET", "PATCH"]),
        Route("/_satchel/v1/upstream-events", UpstreamEvents(webapp), methods=["POST"]),
        Route("/_satchel/livez", Live(), methods=["GET"]),
        Route("/_satchel/readyz", Ready(webapp), methods=["GET"]),
    ]


def app(webapp: Webapp) -> ASGIApp:
    """The ASGI application."""
    return Door(Router(routes(webapp), redirect_slashes=False, default=_nowhere))


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    raise Fault(NOT_FOUND, f"There is nothing at {scope['path'][:200]}: see docs/reference/http.md for the addresses.")


class Door:
    """The outermost middleware."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        visit = Visit(receive, send)
        path = _plain(scope["path"])
        started = time.monotonic()
        try:
            await self._inner({**scope, "path": path, "raw_path": path.encode(), "app": self}, visit.receive, visit.send)
        except (Fault, Later) as error:
            await visit.refuse(error, path, scope)
        except HTTPException as error:  # the router knows one: the address is there, the method is not
            allow = (error.headers or {}).get("Allow", "")
            await visit.refuse(Fault(WRONG_METHOD, f"{scope['method']} is not for {path[:200]}: use {allow}."), path, scope, allow)
        except Exception:
            log.exception("unexpected", method=scope["method"], path=path)
            await visit.refuse(Fault(BUG, "Something went wrong inside the node; its log says what."), path, scope)
        if not path.startswith("/_satchel/"):
            log.info("request", method=scope["method"], path=path, status=visit.status, ms=round((time.monotonic() - started) * 1000))


class Visit:
    """One request: what of it has been read and what has been answered."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.status = 0
        self._read = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._read = self._read or message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    async def refuse(self, error: Fault | Later, path: str, scope: Scope, allow: str | None = None) -> None:
        """Answer with an error; once an answer has begun the connection can only be cut, which uvicorn does for an unfinished one."""
        if self.status:
            log.warning("cut_off", path=path, error=error.situation.slug)
            return
        log.info("refused", path=path, error=error.situation.slug, details=error.details)
        response = error_reply(error, path, allow)
        bodiless = scope["method"] in {"GET", "HEAD", "DELETE"}
        await (response if self._read or bodiless else Draining(response))(scope, self.receive, self.send)


def _plain(path: str) -> str:
    """Old clients double and trail slashes; a redirect would lose their body, so the path is served as it was meant."""
    parts = [part for part in path.split("/") if part]
    return "/" + "/".join(parts)
