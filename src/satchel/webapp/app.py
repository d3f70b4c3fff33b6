"""The routes and the door in front of them: paths made plain, faults made envelopes, one log line a request."""

import time
from urllib.parse import unquote

import structlog
from starlette.exceptions import HTTPException
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from satchel.domain.errors import BUG, NOT_FOUND, Fault, Later
from satchel.observe import requests
from satchel.observe.metrics import OTHER, served
from satchel.webapp import Webapp, keys
from satchel.webapp.at_once import AtOnce
from satchel.webapp.callbacks import Callbacks, Feed, OneCallback, Replays, Tests
from satchel.webapp.callers import CALLER, Callers, networks
from satchel.webapp.certificates import WebhookCa
from satchel.webapp.contacts import Contacts
from satchel.webapp.direct import KEY, Direct
from satchel.webapp.figures import Figures
from satchel.webapp.health import Detail, Health, Live, Ready
from satchel.webapp.listing import MediaListing, OneListed
from satchel.webapp.media import Media, MediaDownload, OneMedia
from satchel.webapp.messages import Messages, OneMessage
from satchel.webapp.openapi import Document
from satchel.webapp.preflight import Preflight
from satchel.webapp.providers import OneProvider, Providers
from satchel.webapp.rates import Rates
from satchel.webapp.replies import Draining, error_reply, wrong_method
from satchel.webapp.sent import OneSent, Retry, SentMessages
from satchel.webapp.services import Gc
from satchel.webapp.settings import Application, Webhook
from satchel.webapp.unserved import is_unserved
from satchel.webapp.upstream_events import UpstreamEvents
from satchel.webapp.users import Login, Logout, OneUser, Users

log = structlog.get_logger("satchel.webapp")
ONE_MEDIA = "/v1/media/"


def routes(webapp: Webapp) -> list[Route]:
    """Every address of the node."""
    return [
        Route("/v1/users/login", Login(webapp), methods=["POST"]),
        Route("/v1/users/logout", Logout(webapp), methods=["POST"]),
        Route("/v1/users", Users(webapp), methods=["POST"]),
        Route("/v1/users/{username}", OneUser(webapp), methods=["GET", "PUT", "DELETE"]),
        Route("/v1/media", Media(webapp), methods=["POST"]),
        Route("/v1/media/{id}/download", MediaDownload(webapp), methods=["GET"]),
        Route("/v1/media/{id:path}", OneMedia(webapp), methods=["GET", "DELETE"]),
        Route("/v1/messages", Messages(webapp), methods=["POST"]),
        Route("/v1/messages/{id:path}", OneMessage(webapp), methods=["PUT"]),
        Route("/v1/contacts", Contacts(webapp), methods=["POST"]),
        Route("/v1/settings/application", Application(webapp), methods=["GET", "PATCH", "DELETE"]),
        Route("/v1/settings/application/media/providers", Providers(webapp), methods=["GET", "POST"]),
        Route("/v1/settings/application/media/providers/{name}", OneProvider(webapp), methods=["DELETE"]),
        Route("/v1/certificates/webhooks/ca", WebhookCa(webapp), methods=["GET", "POST", "DELETE"]),
        Route("/v1/configs/webhook", Webhook(webapp), methods=["POST"]),
        Route("/v1/services/media/gc", Gc(webapp, "media", "media"), methods=["PUT"]),
        Route("/v1/services/message/gc", Gc(webapp, "message", "messages"), methods=["PUT"]),
        Route("/v1/health", Health(webapp), methods=["GET"]),
        Route("/v1/metrics", Figures(webapp, ("metrics",)), methods=["GET"]),
        Route("/v1/stats/app", Figures(webapp, ("stats", "app")), methods=["GET"]),
        Route("/v1/stats/db", Figures(webapp, ("stats", "db")), methods=["GET"]),
        Route("/v1/openapi.json", Document(), methods=["GET"]),
        Route("/metrics", Figures(webapp, ()), methods=["GET"]),
        Route("/", Live(), methods=["GET"]),
        Route("/_satchel/v1/media", MediaListing(webapp), methods=["GET"]),
        Route("/_satchel/v1/media/{id:path}", OneListed(webapp), methods=["GET"]),
        Route("/_satchel/v1/messages", SentMessages(webapp), methods=["GET"]),
        Route("/_satchel/v1/messages/{id}", OneSent(webapp), methods=["GET"]),
        Route("/_satchel/v1/messages/{id}/retry", Retry(webapp), methods=["POST"]),
        Route("/_satchel/v1/preflight", Preflight(webapp), methods=["POST"]),
        Route("/_satchel/v1/callbacks", Callbacks(webapp), methods=["GET"]),
        Route("/_satchel/v1/callbacks/feed", Feed(webapp), methods=["GET"]),
        Route("/_satchel/v1/callbacks/replay", Replays(webapp), methods=["POST"]),
        Route("/_satchel/v1/callbacks/test", Tests(webapp), methods=["POST"]),
        Route("/_satchel/v1/callbacks/{id}", OneCallback(webapp), methods=["GET"]),
        Route("/_satchel/v1/upstream-events", UpstreamEvents(webapp), methods=["POST"]),
        Route("/_satchel/v1/health", Detail(webapp), methods=["GET"]),
        Route("/_satchel/livez", Live(), methods=["GET"]),
        Route("/_satchel/readyz", Ready(webapp), methods=["GET"]),
    ]


def app(webapp: Webapp) -> ASGIApp:
    """The ASGI application."""
    addresses, callers = Addresses(routes(webapp)), Callers(networks(webapp.config.trusted_proxies))
    if webapp.config.rate_limits:
        return Door(addresses, callers, Rates())
    return Door(addresses, callers, None, AtOnce(webapp, addresses.media.path))


class Addresses:
    """Finds a request's endpoint: those without a variable part in a table, a media by its prefix, the rest through Starlette's router."""

    def __init__(self, given: list[Route]) -> None:
        self._exact = {route.path: route for route in given if "{" not in route.path}
        self.media = next(route for route in given if route.path == f"{ONE_MEDIA}{{id:path}}")
        self._router = Router(given, redirect_slashes=False, default=_nowhere)

    def find(self, scope: Scope) -> ASGIApp:
        """The endpoint; notes in the scope which route it is."""
        path = scope["path"]
        route = self._exact.get(path)
        if route is None and path.startswith(ONE_MEDIA) and not path.endswith("/download"):
            route = self.media
            scope["path_params"] = {"id": path.removeprefix(ONE_MEDIA)}
        if route is None or scope["method"] not in (route.methods or ()):
            return self._router  # it knows what to answer
        scope["route"] = route
        return route.app


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    path = scope["path"][:200]
    if is_unserved(path):
        raise Fault(NOT_FOUND, f"{path} is a call of On-Premises that this node does not serve: leave it out, or answer it elsewhere.")
    if path.startswith("/sandbox/"):
        raise Fault(NOT_FOUND, f"{path} is an address of the simulated network, and this is the media node: ask at the network's port.")
    raise Fault(NOT_FOUND, f"There is nothing at {path}: see docs/reference/http.md for the addresses.")


class Door:
    """The outermost middleware. `at_once`: what need not come through it."""

    def __init__(self, addresses: Addresses, callers: Callers, rates: Rates | None, at_once: AtOnce | None = None) -> None:
        self._addresses = addresses
        self._callers = callers
        self._rates = rates
        self.at_once = at_once

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = time.monotonic()
        caller = self._callers.address((scope.get("client") or ("",))[0], scope["headers"])
        visit = Visit(scope, receive, send, caller)
        try:
            if self._rates is not None:
                self._rates.check(visit.path, caller)
            await self._addresses.find(visit.scope)(visit.scope, visit.receive, visit.send)
        except (Fault, Later) as error:
            await visit.refuse(error)
        except HTTPException as error:  # the router knows one: the address is there, the method is not
            await visit.refuse(wrong_method(scope["method"], visit.path, (error.headers or {}).get("Allow", "")))
        except ConnectionError:
            log.info("client_gone", path=visit.path)
        except Exception:
            log.exception("unexpected", method=scope["method"], path=visit.path)
            await visit.refuse(Fault(BUG, "Something went wrong inside the node; its log says what."))
        route, seconds = visit.scope.get("route"), time.monotonic() - started
        served(scope["method"], OTHER if route is None else route.path, visit.status, seconds)
        if not visit.path.startswith("/_satchel/"):
            requests.line(scope["method"], visit.path, visit.status, seconds, visit.id, caller)


class Visit:
    """One request: under which name and path it goes on, what of it has been read and what has been answered."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, caller: str) -> None:
        self._receive, self._send = receive, send
        self._direct: Direct | None = scope.get(KEY)
        self.path = _plain(scope["path"], scope["raw_path"])
        self.scope = {**scope, "path": self.path, "app": self, CALLER: caller}  # with an app in it, the router raises instead of answering
        self._status = 0
        self._start: Message | None = None
        self._read = False
        self._header = (b"x-request-id", keys.request_id(_header(scope, b"x-request-id")))
        self.id = self._header[1].decode()
        bind_contextvars(request_id=self.id)
        if self._direct is not None:
            self._direct.more = [self._header]

    @property
    def status(self) -> int:
        """Of HTTP; 0 before an answer has begun."""
        return self._status or (self._direct.status if self._direct else 0)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._read = True
        return message

    async def send(self, message: Message) -> None:
        """Head and body of a short answer leave in one write, where the connection has a way for that."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            if self._direct is not None:
                self._start = message
                return
            message["headers"] = [*message["headers"], self._header]
        elif self._start is not None:
            start, self._start = self._start, None
            if self._direct is not None and not message.get("more_body", False):
                body = b"" if self.scope["method"] == "HEAD" else message.get("body", b"")
                await self._direct.answer(start["status"], start["headers"], body)
                return
            await self._send({**start, "headers": [*start["headers"], self._header]})
        await self._send(message)

    async def refuse(self, error: Fault | Later) -> None:
        """Answer with an error; once an answer has begun the connection can only be cut, which uvicorn does for an unfinished one."""
        if self.status:
            log.warning("cut_off", path=self.path, error=error.situation.slug)
            return
        log.info("refused", path=self.path, error=error.situation.slug, details=error.details)
        response = error_reply(error, self.path)
        bodiless = self.scope["method"] in {"GET", "HEAD", "DELETE"}
        await (response if self._is_read() or bodiless else Draining(response))(self.scope, self.receive, self.send)

    def _is_read(self) -> bool:
        if self._direct is None:
            return self._read
        self._direct.give_back()
        return self._direct.is_read


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
