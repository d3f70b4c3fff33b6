"""`satchel serve`: one role of the node in this process."""

import asyncio
import os
import signal
import socket
from pathlib import Path
from types import FrameType

import rich_click as click
import structlog

from satchel import build, observe
from satchel.cli import lifeline, say
from satchel.db import Database
from satchel.domain import passwords
from satchel.flows import access
from satchel.settings import DATA_DIR, Settings, admin_password, load

log = structlog.get_logger("satchel")


@click.command(epilog="Example: satchel serve --role web --bind 127.0.0.1:9090 --data-dir /var/lib/satchel")
@click.option("--role", type=click.Choice(["web", "core"]), required=True, help="Webapp (HTTP) or Coreapp (background work).")
@click.option("--bind", default="127.0.0.1:9090", show_default=True, metavar="HOST:PORT", help="Where Webapp listens.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), default=DATA_DIR, show_default=True, help="Database, locks and, unless set, the volume."
)
def serve(role: str, bind: str, data_dir: Path) -> None:
    """Run Webapp or Coreapp alone; both meet in the database and on the volume."""
    with say.configuration_errors():
        run(role, bind, load(data_dir, os.environ))


def run(role: str, bind: str, settings: Settings, wrap: build.Wrap = lambda ports: ports) -> None:
    """Serve until SIGTERM or Ctrl-C. Migrates under a lock, makes an administrator if there is no user."""
    lifeline.hold()
    observe.set_up()
    import uvloop

    listener = _listen(bind) if role == "web" else None
    uvloop.run(_run(settings, listener, wrap))


async def _run(settings: Settings, listener: socket.socket | None, wrap: build.Wrap) -> None:
    async with build.opened(settings, "web" if listener else "core", wrap) as opened:
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

    config = uvicorn.Config(
        build.webapp(settings, opened.ports, opened.name),
        http=BoundedProtocol,
        ws="none",
        proxy_headers=False,  # anybody could claim any address
        timeout_keep_alive=75,  # longer than load balancers keep theirs
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=30,
    )
    server = uvicorn.Server(config)

    def stop(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    # uvicorn takes these signals and raises them again when it is done: with our handlers below that is an end in order.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    metrics.watch(lambda: len(server.server_state.tasks))
    async with beating(opened.ports.db, opened.name):
        await server.serve(sockets=[listener])


async def _core(settings: Settings, opened: build.Opened) -> None:
    coreapp = build.coreapp(settings, opened)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, coreapp.stop)
    await coreapp.run()


async def _ensure_admin(settings: Settings, db: Database) -> None:
    """A generated password goes to a file that only we can read, never to the log; written first, so that no crash loses it."""
    if await access.has_admin(db):
        return
    if (given := admin_password()) is not None:
        await access.ensure_admin(db, given, always=False)
        return
    generated = passwords.generate()
    part = write_private(settings.data_dir / f".admin-password.{os.getpid()}", f"{generated}\n")
    if await access.ensure_admin(db, generated, always=False):
        kept = part.rename(settings.data_dir / "admin-password")
        log.info("admin_password_written", path=str(kept))
    else:
        part.unlink()


def write_private(path: Path, text: str) -> Path:
    """Write a new file that only its owner may read; the path."""
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(fd)
    return path


def _listen(bind: str) -> socket.socket:
    host, _, port = bind.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        say.stop(f"--bind {bind} is not HOST:PORT, such as 127.0.0.1:9090.", say.USAGE)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Connections inherit the option. Without it an answer's body waits up to 40 ms for the confirmation of its head.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), int(port)))
        listener.listen(1024)
    except OSError as error:
        say.stop(f"Cannot listen on {bind}: {error.strerror}. Stop what uses the port, or choose another one.", say.CONFIGURATION)
    return listener
