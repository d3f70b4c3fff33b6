"""The routes and the door in front of them: paths made plain, faults made envelopes, one log line a request."""

import time
from urllib.parse import unquote

import structlog
from starlette.exceptions import HTTPException
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from satchel.domain.errors import BUG, NOT_FOUND, WRONG_METHOD, Fault, Later
from satchel.observe.metrics import OTHER, served
from satchel.webapp import Webapp, keys
from satchel.webapp.figures import Figures
from satchel.webapp.health import Health, Live, Ready
from satchel.webapp.listing import MediaListing, OneListed
from satchel.webapp.media import Media, OneMedia
from satchel.webapp.messages import Messages
from satchel.webapp.openapi import Document
from satchel.webapp.rates import Rates
from satchel.webapp.replies import Draining, error_reply
from satchel.webapp.settings import Application, Webhook
from satchel.webapp.upstream_events import UpstreamEvents
from satchel.webapp.users import Login, Logout, OneUser, Users

log = structlog.get_logger("satchel.webapp")


def routes(webapp: Webapp) -> list[Route]:
    """Every address of the node."""
    return [
        Route("/v1/users/login", Login(webapp), methods=["POST"]),
        Route("/v1/users/logout", Logout(webapp), methods=["POST"]),
        Route("/v1/users", Users(webapp), methods=["POST"]),
        Route("/v1/users/{username}", OneUser(webapp), methods=["GET", "PUT", "DELETE"]),
        Route("/v1/media", Media(webapp), methods=["POST"]),
        Route("/v1/media/{id:path}", OneMedia(webapp), methods=["GET", "DELETE"]),
        Route("/v1/messages", Messages(webapp), methods=["POST"]),
        Route("/v1/settings/application", Application(webapp), methods=["GET", "PATCH", "DELETE"]),
        Route("/v1/configs/webhook", Webhook(webapp), methods=["POST"]),
        Route("/v1/health", Health(webapp), methods=["GET"]),
        Route("/v1/metrics", Figures(webapp, ("metrics",)), methods=["GET"]),
        Route("/v1/stats/app", Figures(webapp, ("stats", "app")), methods=["GET"]),
        Route("/v1/stats/db", Figures(webapp, ("stats", "db")), methods=["GET"]),
        Route("/v1/openapi.json", Document(), methods=["GET"]),
        Route("/metrics", Figures(webapp, ()), methods=["GET"]),
        Route("/", Live(), methods=["GET"]),
        Route("/_satchel/v1/media", MediaListing(webapp), methods=["GET"]),
        Route("/_satchel/v1/media/{id:path}", OneListed(webapp), methods=["GET"]),
        Route("/_satchel/v1/upstream-events", UpstreamEvents(webapp), methods=["POST"]),
        Route("/_satchel/livez", Live(), methods=["GET"]),
        Route("/_satchel/readyz", Ready(webapp), methods=["GET"]),
    ]


def app(webapp: Webapp) -> ASGIApp:
    """The ASGI application."""
    inner = Router(routes(webapp), redirect_slashes=False, default=_nowhere)
    return Door(inner, Rates() if webapp.config.rate_limits else None)


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    raise Fault(NOT_FOUND, f"There is nothing at {scope['path'][:200]}: see docs/reference/http.md for the addresses.")


class Door:
    """The outermost middleware."""

    def __init__(self, inner: ASGIApp, rates: Rates | None) -> None:
        self._inner = inner
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = time.monotonic()
        visit = Visit(scope, receive, send)
        try:
            if self._rates is not None:
                self._rates.check(visit.path)
            await self._inner(visit.scope, visit.receive, visit.send)
        except (Fault, Later) as error:
            await visit.refuse(error)
        except HTTPException as error:  # the router knows one: the address is there, the method is not
            allow = (error.headers or {}).get("Allow", "")
            fault = Fault(WRONG_METHOD, f"{scope['method']} is not for {visit.path[:200]}: use {allow}.")
            await visit.refuse(fault, {"Allow": allow})
        except Exception:
            log.exception("unexpected", method=scope["method"], path=visit.path)
            await visit.refuse(Fault(BUG, "Something went wrong inside the node; its log says what."))
        served(scope["method"], getattr(visit.scope.get("route"), "path", OTHER), visit.status, time.monotonic() - started)
        if not visit.path.startswith("/_satchel/"):
            ms = round((time.monotonic() - started) * 1000, 1)
            log.info("request", method=scope["method"], path=visit.path, status=visit.status, ms=ms)


class Visit:
    """One request: under which name and path it goes on, what of it has been read and what has been answered."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.path = _plain(scope["path"], scope["raw_path"])
        self.scope = {**scope, "path": self.path, "app": self}  # with an app in it, the router raises instead of answering
        self.status = 0
        self._read = False
        self._id = keys.request_id(_header(scope, b"x-request-id"))
        bind_contextvars(request_id=self._id.decode())

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._read = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", self._id)]
        await self._send(message)

    async def refuse(self, error: Fault | Later, headers: dict[str, str] | None = None) -> None:
        """Answer with an error; once an answer has begun the connection can only be cut, which uvicorn does for an unfinished one."""
        if self.status:
            log.warning("cut_off", path=self.path, error=error.situation.slug)
            return
        log.info("refused", path=self.path, error=error.situation.slug, details=error.details)
        response = error_reply(error, self.path, headers)
        bodiless = self.scope["method"] in {"GET", "HEAD", "DELETE"}
        await (response if self._read or bodiless else Draining(response))(self.scope, self.receive, self.send)


def _header(scope: Scope, name: bytes) -> bytes | None:
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


def _plain(path: str, raw: bytes) -> str:
    """Old clients double and trail slashes; a redirect would lose their body, so the path is served as it was meant.

    An escaped slash is not one of these: it belongs to a name.
    """
    if b"//" not in raw and not raw.endswith(b"/"):
        return path
    return unquote("/" + "/".join(part for part in raw.decode("ascii", "replace").split("/") if part))
