"""Wakes between processes through PostgreSQL: LISTEN and NOTIFY, each on a connection and in a thread of its own.

A notice may be lost with its connection: whoever waits looks again after a while by himself.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import psycopg

from satchel.db import Row

CHANNEL = "satchel"
FAREWELL = 3.0
"""Seconds that a thread, or what else is running, has to end when we stop."""


class Notices:
    """`connect`: opens a connection. Both threads start when they are first needed."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Row]]) -> None:
        self._connect = connect
        self._stop = threading.Event()
        self._due = threading.Event()
        self._woken: asyncio.Event | None = None
        self._threads: list[threading.Thread] = []
        self._starting = threading.Lock()

    def announce(self) -> None:
        """Tell everybody who waits that something was written. From any thread, after the commit."""
        self._beside(self._announce)
        self._due.set()

    async def wait(self, timeout: float) -> None:
        """Return at the next notice, at the latest after so many seconds."""
        if self._woken is None:
            self._woken = asyncio.Event()
            self._beside(self._listen, asyncio.get_running_loop())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), timeout)
        self._woken.clear()

    def stop(self) -> None:
        """Ask both threads to end."""
        self._stop.set()
        self._due.set()

    async def ended(self) -> None:
        """Wait for their end."""
        for thread in self._threads:
            await asyncio.to_thread(thread.join, FAREWELL)

    def _beside(self, target: Callable[..., None], *args: Any) -> None:
        with self._starting:
            if not any(thread.name == target.__name__ for thread in self._threads):
                thread = threading.Thread(target=target, args=args, name=target.__name__, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _announce(self) -> None:
        """NOTIFY on a connection of its own, after the commit: inside the transaction it would serialise all commits."""
        connection: psycopg.Connection[Row] | None = None
        while not self._stop.is_set():
            self._due.wait()
            self._due.clear()
            try:
                connection = connection or self._connect()
                connection.execute(f"SET synchronous_commit = off; NOTIFY {CHANNEL}")
            except psycopg.Error:
                connection = None  # the poll of those who wait covers a lost notice
        if connection is not None:
            connection.close()

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._stop.is_set():
            try:
                with self._connect() as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    while not self._stop.is_set():
                        for _ in connection.notifies(timeout=0.5, stop_after=1):
                            self._wake(loop)
            except psycopg.Error:
                self._stop.wait(0.5)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._woken is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._woken.set)
