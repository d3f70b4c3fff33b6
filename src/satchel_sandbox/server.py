"""Composition and life of the process: options -> engines -> network -> HTTP server. Nothing else constructs an engine."""

import asyncio
import contextlib
import fcntl
import logging
import signal
import socket
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import apsw
import uvicorn
import uvloop
from starlette.applications import Starlette

from . import lifeline
from .control import Control
from .control_phones import PhoneControl
from .log import set_up
from .network import Network, Terms
from .outbox import Poster
from .ports import Ports
from .replies import HANDLERS, at_once
from .store import Store
from .vault import Vault
from .wire import INTAKE, Wire

log = logging.getLogger("sandbox")

HOST = "127.0.0.1"

Wrap = Callable[[Ports], Ports]


class CannotStart(Exception):
    """One sentence for the person who started us."""


@dataclass(frozen=True)
class Options:
    """What one process is told. `port` 0 takes a free one; `data_dir` is not used with `memory`; `node_ca`: trusted over https."""

    port: int
    node: str
    secret: str
    data_dir: Path | None = None
    memory: bool = False
    node_ca: Path | None = None
    terms: Terms = field(default_factory=Terms)


def run(options: Options, wrap: Wrap = lambda ports: ports) -> int:
    """Serve until SIGTERM or SIGINT; the exit status. `wrap` may put something around the engines: crash tests do."""
    set_up()
    lifeline.hold()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(options, wrap))
    except CannotStart as reason:
        print(reason, file=sys.stderr)
        return 3
    return 0


async def _serve(options: Options, wrap: Wrap) -> None:
    running: list[uvicorn.Server] = []
    stopped = False

    def stop(_: int, __: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        for server in running:
            server.should_exit = True

    # uvicorn handles signals itself and raises them again when it is done; with ours below, that is a clean end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    async with opened(options, wrap) as (server, listener):
        running.append(server)
        server.should_exit = stopped  # one may have come while the engines were opened
        await server.serve(sockets=[listener])


@contextlib.asynccontextmanager
async def opened(options: Options, wrap: Wrap = lambda ports: ports) -> AsyncIterator[tuple[uvicorn.Server, socket.socket]]:
    """A running network with the server and the listening socket to serve it; connections queue up from here on."""
    with _listening(options.port) as listener, _folder(options) as folder:
        durable = not options.memory
        engines = Ports(_store(folder, durable), Vault(folder / "vault", durable), _poster(options))
        network = Network(wrap(engines), folder / "phones", durable, options.terms)
        try:
            await network.start()
            base = f"http://{HOST}:{listener.getsockname()[1]}"
            log.info("the network's world is %s, its address %s", network.world.id, base)
            yield _Server(network, options.secret, base), listener
        finally:
            await network.stop()


def _poster(options: Options) -> Poster:
    try:
        trust = ssl.create_default_context(cafile=options.node_ca) if options.node_ca else None
    except OSError as error:
        raise CannotStart(f"The CA file {options.node_ca} cannot be used ({error}): give a PEM file with certificates.") from None
    return Poster(options.node, options.secret, trust)


class _Server(uvicorn.Server):
    def __init__(self, network: Network, secret: str, base: str) -> None:
        self._bells = network.bells
        wire = Wire(network, secret, base)
        routes = wire.routes() + Control(network).routes() + PhoneControl(network).routes()
        app = at_once({("POST", INTAKE): wire.intake}, Starlette(routes=routes, exception_handlers=HANDLERS))
        super().__init__(
            uvicorn.Config(
                app,
                loop="none",
                http="httptools",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                log_level=logging.WARNING,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=75,  # longer than clients keep idle connections: they close first, and lose no request
                timeout_graceful_shutdown=2,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._bells.silence()  # a request that waits for a phone must not hold the end up
        await super().shutdown(sockets)


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit it. Without, an answer's body waits up to 40 ms for the confirmation of its head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            listener.bind((HOST, port))
            listener.listen(2048)
        except (OSError, OverflowError) as error:
            raise CannotStart(
                f"The sandbox cannot listen on {HOST}:{port} ({error}): stop what holds it or choose another --port."
            ) from None
        yield listener


@contextlib.contextmanager
def _folder(options: Options) -> Iterator[Path]:
    """The data folder, held by a lock for as long as this process lives; in memory mode one that goes with it."""
    if options.memory or options.data_dir is None:
        with tempfile.TemporaryDirectory(prefix="satchel-sandbox-") as folder:
            yield Path(folder)
        return
    try:
        options.data_dir.mkdir(parents=True, exist_ok=True)
        lock = (options.data_dir / "sandbox.lock").open("a")
    except OSError as error:
        raise CannotStart(f"The sandbox cannot write to {options.data_dir} ({error.strerror}): choose another --data-dir.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CannotStart(f"Another sandbox uses {options.data_dir}: stop it or choose another --data-dir.") from None
        yield options.data_dir


def _store(folder: Path, durable: bool) -> Store:
    path = folder / "sandbox.sqlite"
    try:
        return Store(path if durable else None)
    except apsw.Error as error:
        raise CannotStart(f"The sandbox cannot use {path} ({error}): mend it, remove it, or choose another --data-dir.") from None
