"""The world of one test: phones, the clock, the webhook, and the node under test. Beginning one ends what the last test left."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from satchel.client import ClientError, Satchel, TimedOut
from satchel.client.node import MediaNode
from satchel.client.sandbox import Sandbox
from satchel.testing.phones import Phone, digits
from satchel.testing.receiver import Callback
from satchel.testing.report import webhook_in_vain
from satchel.testing.server import Server

TIMEOUT = 5.0
KINDS = ("statuses", "messages", "media_items", "services", "errors")
"""What callbacks carry."""
"""Seconds that tests wait, unless they say otherwise."""
PATIENCE, LOOK = 30.0, 0.02


class World:
    """What the fixture `whatsapp` gives. `started`: wall time, seconds; nothing older is this test's."""

    def __init__(self, server: Server, application: dict[str, Any]) -> None:
        self.server = server
        server.receiver.begin()
        server.sandbox.reset()
        _until_told(server.sandbox)
        self.started = time.time()
        hook = {"webhooks": {"url": server.receiver.url}}
        server.node.settings.change(**merged(merged(server.original, hook), application))

    @property
    def url(self) -> str:
        """Where the integration finds the node, as http://127.0.0.1:9090."""
        return self.server.url

    @property
    def token(self) -> str:
        """A bearer token for it."""
        return self.server.node.token

    @property
    def node(self) -> Satchel:
        """A client of the node, for the test itself."""
        return self.server.node

    @property
    def sandbox(self) -> Sandbox:
        """The simulated network's own calls."""
        return self.server.sandbox

    @property
    def media(self) -> MediaNode:
        """What lies on the media node."""
        return self.server.node.media

    @property
    def clock(self) -> "Clock":
        """The network's clock."""
        return Clock(self.server.sandbox)

    @property
    def webhooks(self) -> list[Callback]:
        """The callbacks of this test by now, in order of arrival."""
        return self.server.receiver.callbacks

    def phone(
        self,
        number: str | None = None,
        *,
        system: str | None = None,
        tz: str | None = None,
        auto_download: bool | None = None,
        name: str | None = None,
        locale: str | None = None,
        online: bool | None = None,
        read_receipts: bool | None = None,
    ) -> Phone:
        """A phone. `number`: in any human form, a free one of the fiction range unless given.

        `system`: android or iphone; `tz`: a time zone such as Asia/Seoul. Whatever is left out is as the sandbox has it.
        """
        asked = {"system": system, "timezone": tz, "auto_download": auto_download, "name": name, "locale": locale}
        asked |= {"online": online, "read_receipts": read_receipts}
        given = {key: value for key, value in asked.items() if value is not None}
        wanted = None if number is None else digits(number)
        try:
            made = self.sandbox.add_phone(wanted, given)
        except ClientError as error:
            if error.status != 409 or wanted is None:
                raise
            made = self.sandbox.change_phone(wanted, given)
        return Phone(self, str(made["number"]))

    @contextmanager
    def expect_webhook(self, kind: str, timeout: float = TIMEOUT, **fields: Any) -> Iterator["Expected"]:
        """At the end of the `with`, waits for a callback that came in it and has a `kind` (statuses, messages) with these fields."""
        expected = Expected(self, kind, fields, timeout)
        yield expected
        __tracebackhide__ = True
        expected.wait()

    def close(self) -> None:
        """A node that others use gets its settings back; ours is set anew by the next test."""
        if not self.server.ours:
            self.server.node.settings.change(**self.server.original)


class Clock:
    """The network's clock. It never sleeps: what is due by then is done at once."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    @property
    def now(self) -> datetime:
        """Network time."""
        return datetime.fromisoformat(str(self._sandbox.clock()["now"]))

    def advance(self, **far: float) -> list[dict[str, Any]]:
        """Forward, by what `timedelta` takes: days=15, hours=1. What happened by that."""
        return list(self._sandbox.advance(f"{timedelta(**far).total_seconds():.3f}s")["ran"])


class Expected:
    """A callback that is waited for."""

    def __init__(self, world: World, kind: str, fields: dict[str, Any], timeout: float) -> None:
        if kind not in KINDS:
            raise ValueError(f"No callback has {kind!r}: expect {', '.join(KINDS)}.")
        self._world, self.kind, self.fields, self._timeout = world, kind, fields, timeout
        self._after, self._found = len(world.webhooks), None

    _found: Callback | None

    @property
    def json(self) -> dict[str, Any]:
        """The body."""
        return self.wait().json

    @property
    def headers(self) -> dict[str, str]:
        """By lower-case name."""
        return self.wait().headers

    def wait(self) -> Callback:
        """The callback, once it is there. Raises `WaitedInVain`."""
        __tracebackhide__ = True
        if self._found is None:
            self._found = self._world.server.receiver.first(self._fits, self._after, self._timeout)
        if self._found is None:
            came = self._world.webhooks[self._after :]
            raise webhook_in_vain(self._world, self.kind, self.fields, self._timeout, came)
        return self._found

    def _fits(self, callback: Callback) -> bool:
        told = callback.json.get(self.kind)
        return isinstance(told, list) and any(all(one.get(key) == value for key, value in self.fields.items()) for one in told)


def _until_told(sandbox: Sandbox) -> None:
    """A reset waits for the node, but not for long; before it has heard of the new world it must hear of no new webhook."""
    until = time.monotonic() + PATIENCE
    while sandbox.status()["events_waiting"]:
        if time.monotonic() > until:
            raise TimedOut(f"The node did not hear of the new world within {PATIENCE:.0f} s: see its log.")
        time.sleep(LOOK)


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Settings over settings, section by section."""
    result = dict(below)
    for key, value in above.items():
        known = result.get(key)
        result[key] = merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return result
