"""`satchel serve`: the node in the foreground; Webapps and Coreapp as children, or a single one of them in this very process."""

import asyncio
import ctypes
import gc
import os
import resource
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import rich_click as click
import structlog

from satchel import build, observe
from satchel.cli import lifeline, private, say, tls
from satchel.cli.bind import BIND, address
from satchel.cli.children import LISTENER, Child, Stopped, Supervisor
from satchel.cli.options import node_data_dir
from satchel.db import Database
from satchel.flows import access
from satchel.settings import Settings, admin_password, load

log = structlog.get_logger("satchel")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
LARGE = 8 * 1024 * 1024
GRACE = 30
"""Seconds that uploads in flight have to end in."""


@dataclass(frozen=True)
class Run:
    """What to run: `role` all, web or core; `workers`: how many Webapps; `bind`: HOST:PORT."""

    role: str
    bind: str
    workers: int = 1

    @property
    def is_one_process(self) -> bool:
        return self.role == "core" or (self.role == "web" and self.workers == 1)


@click.command(epilog="Example: satchel serve --workers 2 --bind 127.0.0.1:9090 --data-dir /var/lib/satchel")
@click.option(
    "--role",
    type=click.Choice(["all", "web", "core"]),
    default="all",
    show_default=True,
    help="Webapp (HTTP), Coreapp (background work), or all: the Webapps and one Coreapp.",
)
@click.option("--bind", default=BIND, show_default=True, metavar="HOST:PORT", help="Where Webapp listens.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Webapp processes, which share one socket.")
@click.option("--tls-cert", metavar="FILE", help="PEM file of a certificate with its chain: Webapp speaks https.")
@click.option("--tls-key", metavar="FILE", help="PEM file of its private key.")
@click.option("--https", is_flag=True, help="Speak https with a certificate that is made once and kept in the data directory.")
@node_data_dir
def serve(role: str, bind: str, workers: int, tls_cert: str | None, tls_key: str | None, https: bool, data_dir: Path) -> None:
    """Run the node, or a part of it; the parts meet in the database and on the volume."""
    if https and (tls_cert or tls_key):
        say.stop("--https makes a certificate, --tls-cert and --tls-key bring one: give one or the other.", say.USAGE)
    with say.configuration_errors():
        if https:
            made = tls.own(data_dir.absolute(), address(bind)[0])
            tls_cert, tls_key = str(made.certificate), str(made.key)
        flags: dict[str, tuple[Any, str]] = {"webapp.tls_certificate": (tls_cert, "--tls-cert"), "webapp.tls_key": (tls_key, "--tls-key")}
        settings = load(data_dir, os.environ, flags={name: given for name, given in flags.items() if given[0]})
        run(Run(role, bind, workers), settings)


def run(what: Run, settings: Settings, wrap: build.Wrap = lambda ports: ports) -> None:
    """Serve until SIGTERM or Ctrl-C. Migrates under a lock, makes an administrator if there is no user."""
    private.no_core_files()
    is_child = lifeline.hold()
    observe.set_up()
    tls.context(settings)
    if not is_child:
        for remark in settings.remarks:
            log.warning("settings", details=remark)
    listener = None if what.role == "core" else _inherited() or _listen(what.bind)
    if not is_child:
        log.info("serving", role=what.role, bind=what.bind, workers=what.workers, tls=str(settings.webapp.tls_certificate or "off"))
    if not what.is_one_process and listener is not None:
        _supervise(what, settings, listener)
        return
    import uvloop

    uvloop.run(_run(settings, listener, wrap, is_child))


def _supervise(what: Run, settings: Settings, listener: socket.socket) -> None:
    """Prepare what all need, so that what is wrong is said once; then run one process a Webapp and one for Coreapp."""
    asyncio.run(_prepare(settings))
    with Supervisor(dict(os.environ)) as supervisor:
        for child in _children(what, settings, listener):
            supervisor.start(child)
        try:
            supervisor.wait()
        except Stopped as stopped:
            supervisor.start_no_more()
            listener.close()  # else callers would queue up where nobody takes them any more
            log.info("stopping", why=str(stopped))
            if stopped.child is not None:
                say.stop(f"{stopped} Everything else is stopped, too.", stopped.code if stopped.code > 0 else say.UNEXPECTED)


async def _prepare(settings: Settings) -> None:
    async with build.opened(settings, "all") as opened:
        await access.close_factory_door(opened.ports.db)
        await _ensure_admin(settings, opened.ports.db)


def _children(what: Run, settings: Settings, listener: socket.socket) -> list[Child]:
    """Coreapp first: what starts last stops first, and Webapps must be gone before the work that they bring."""
    base = ["satchel", "serve", "--data-dir", str(settings.data_dir), "--role"]
    files = {"--tls-cert": settings.webapp.tls_certificate, "--tls-key": settings.webapp.tls_key}
    given = [text for flag, path in files.items() if path for text in (flag, str(path))]
    cores = [Child("Coreapp", [*base, "core"], again=True)] if what.role == "all" else []
    return [*cores, *[Child("Webapp", [*base, "web", "--bind", what.bind, *given], again=True, listener=listener)] * what.workers]


async def _run(settings: Settings, listener: socket.socket | None, wrap: build.Wrap, is_child: bool) -> None:
    async with build.opened(settings, "web" if listener else "core", wrap) as opened:
        if not is_child:  # the factory password is for trying things out with `satchel dev`, and for nothing else
            await access.close_factory_door(opened.ports.db)
        await _ensure_admin(settings, opened.ports.db)
        if listener is not None:
            await _web(settings, opened, listener)
        else:
            await _core(settings, opened)


async def _web(settings: Settings, opened: build.Opened, listener: socket.socket) -> None:
    import uvicorn

    from satchel.observe import metrics
    from satchel.webapp.beat import beating
    from satchel.webapp.protocol import BoundedProtocol

    context = tls.context(settings)
    config = uvicorn.Config(
        build.webapp(settings, opened.ports, opened.name),
        http=BoundedProtocol,
        ws="none",
        proxy_headers=False,  # Webapp believes those that the settings name, and no others
        timeout_keep_alive=75,  # longer than load balancers keep theirs
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        ssl_context_factory=None if context is None else lambda config, default: context,
    )
    server = uvicorn.Server(config)

    def stop(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    # uvicorn takes these signals and raises them again when it is done: with our handlers below that is an end in order.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    _spare()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    metrics.watch(lambda: len(server.server_state.tasks))
    async with beating(opened.ports.db, opened.name):
        await server.serve(sockets=[listener])


def _spare() -> None:
    """Settings of the memory for a process that stays small: what is there now is never collected, and large blocks go back at once.

    glibc would keep the 19 MiB of a password's hash, having learnt from it that blocks of that size come again.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in ((M_MMAP_THRESHOLD, LARGE), (M_TRIM_THRESHOLD, LARGE), (M_ARENA_MAX, 2)):
            mallopt(parameter, value)


async def _core(settings: Settings, opened: build.Opened) -> None:
    coreapp = build.coreapp(settings, opened)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, coreapp.stop)
    await coreapp.run()


async def _ensure_admin(settings: Settings, db: Database) -> None:
    """A generated password goes to a file that only we can read, never to the log; written first, so that no crash loses it."""
    if (given := admin_password()) is not None:
        await access.first_admin(db, given.password)
        return
    kept = settings.admin_password_file
    part = kept.with_name(f".{kept.name}.{os.getpid()}")
    if await access.generated_admin(db, lambda password: private.write(part, f"{password}\n")):
        part.rename(kept)
        log.info("admin_password_written", path=str(kept))
    part.unlink(missing_ok=True)


def _inherited() -> socket.socket | None:
    """The listening socket that our parent shares among its Webapps."""
    if not (given := os.environ.pop(LISTENER, "")).isdigit():
        return None
    os.set_inheritable(int(given), False)
    return socket.socket(fileno=int(given))


def _listen(bind: str) -> socket.socket:
    host, port = address(bind)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Connections inherit the option. Without it an answer's body waits up to 40 ms for the confirmation of its head.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        say.stop(f"Cannot listen on {bind}: {error.strerror}. Stop what uses the port, or choose another one.", say.CONFIGURATION)
    return listener
