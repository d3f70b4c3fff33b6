"""`satchel dev`: sandbox, Coreapp and Webapp in the foreground, over one data directory."""

import asyncio
import fcntl
import os
import secrets
import shlex
import socket
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from textwrap import indent
from typing import Any

import msgspec
import rich_click as click

from satchel import __version__, build
from satchel.cli import private, say, tls
from satchel.cli.children import Child, Stopped, Supervisor
from satchel.cli.options import node_data_dir
from satchel.cli.state import DATA_DIR, LOCK_FILE, STATE_FILE
from satchel.db import Database, hosts, schema
from satchel.db import settings as setting_rows
from satchel.domain.application import webhook_url
from satchel.domain.limits import DAY
from satchel.flows import access, application
from satchel.settings import ADMIN_PASSWORD, ADMIN_PASSWORD_FILE, Given, Settings, admin_password, load

PHONES = ("12025550111", "12025550112")
PHOTO = "tests/media/harbour.jpg"
"""The one that comes with a clone."""
LINES = r"""
TOKEN=$(curl -s{trust} -u admin:{login} \
  -X POST {url}/v1/users/login | sed -n 's/.*"token":"\([^"]*\)".*/\1/p')
MEDIA=$(curl -s{trust} -H "Authorization: Bearer $TOKEN" -H "Content-Type: image/jpeg" \
  --data-binary @{photo} {url}/v1/media \
  | sed -n 's/.*"id":"\([^"]*\)".*/\1/p')
curl -s{trust} -H "Authorization: Bearer $TOKEN" {url}/v1/messages \
  -d '{{"to": "{phone}", "type": "image", "image": {{"id": "'$MEDIA'"}}}}'
curl -s "{sandbox}/sandbox/phones/{phone}/messages?wait=10s"
curl -s -o received.jpg {sandbox}/sandbox/phones/{phone}/messages/latest/media
"""


NO_HOOK = """none: callbacks are kept as unsent, and never sent later by themselves
            (--webhook URL sets one; one to try it with:
            {receiver})"""


CLOCK_MOVED = """
  Clock     network time is {days:.4g} days ahead, as it was moved: media count as older by that
            ({command} sandbox reset moves it back, and forgets the whole network)"""


@dataclass(frozen=True)
class Options:
    """Where everything is, and how the parts recognise each other."""

    port: int
    sandbox_port: int
    data_dir: Path
    secret: str
    own: tls.Own | None = None
    blob_days: int = 14

    @property
    def url(self) -> str:
        """Of the node."""
        return f"{'https' if self.own else 'http'}://127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path | None:
        """Whom to trust at `url`; None where that is http."""
        return self.own.ca if self.own else None

    @property
    def sandbox_url(self) -> str:
        """Of the simulated network."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    def environ(self) -> dict[str, str]:
        """The environment of the children."""
        ours = {"SATCHEL_UPSTREAM__URL": self.sandbox_url, "SATCHEL_UPSTREAM__SECRET": self.secret, "SATCHEL_SANDBOX_SECRET": self.secret}
        return {**os.environ, **ours, "PYTHONUNBUFFERED": "1"}


@click.command(epilog="Example: satchel dev --port 9090 --webhook http://127.0.0.1:9099/")
@click.option("--port", type=click.IntRange(1, 65534), default=9090, show_default=True, help="Webapp's port.")
@click.option("--sandbox-port", type=click.IntRange(1, 65535), help="The sandbox's port; Webapp's plus one unless given.")
@node_data_dir
@click.option("--webhook", metavar="URL", help="Set webhooks.url at this start.")
@click.option("--https", is_flag=True, help="Speak https with a certificate that is made once and kept in the data directory.")
@click.option(
    "--blob-days", type=click.IntRange(1, 3650), default=14, show_default=True, help="How long the network keeps media, from each send."
)
def dev(port: int, sandbox_port: int | None, data_dir: Path, webhook: str | None, https: bool, blob_days: int) -> None:
    """Start a whole node and a simulated network to try it on. Ctrl-C stops everything."""
    private.no_core_files()
    options = Options(port, sandbox_port or port + 1, data_dir.absolute(), secrets.token_hex(32), blob_days=blob_days)
    with say.configuration_errors():
        settings = load(options.data_dir, options.environ())
        _refuse_own_certificate(settings, https)
        _take(options)
        options = replace(options, own=tls.own(options.data_dir, "127.0.0.1") if https else None)
        for remark in settings.remarks:
            click.echo(remark, err=True)
        build.refuse_used_folder(settings)
        started = asyncio.run(_prepare(settings, options, webhook))
        _supervise(settings, options, started)


def _refuse_own_certificate(settings: Settings, https: bool) -> None:
    """Whom such a certificate is trusted by, and for which names, nobody told us: we could not look whether the node is ready."""
    if settings.webapp.tls_certificate and not https:
        say.stop(
            f"{settings.origins['webapp.tls_certificate']} sets a TLS certificate, which satchel serve uses: "
            "unset it, or let satchel dev --https make one of its own.",
            say.CONFIGURATION,
        )


@dataclass(frozen=True)
class Started:
    """What a start found or made. `given`: from the environment; `password`: one that was made and that nobody has seen yet."""

    token: str
    given: Given | None
    password: str | None
    webhook: str | None


async def _prepare(settings: Settings, options: Options, webhook: str | None) -> Started:
    """Schema, administrator, token; everything the children need to find."""
    db = build.database(settings)
    try:
        await schema.migrate(db)
        await db.write(lambda tx: hosts.forget(tx, build.host_prefix(options.data_dir)))
        given = admin_password()
        if webhook:
            await application.change(db, {"webhooks": {"url": webhook}}, "dev")
        generated = None if given is not None else await _generated_password(db, settings.unshown_password_file)
        if given is not None:
            await access.set_admin_password(db, given.password)
            settings.unshown_password_file.unlink(missing_ok=True)
        url = webhook_url(await db.read(setting_rows.application))
        return Started(await access.mint_admin_token(db, settings.webapp.token_key), given, generated, url)
    finally:
        await db.close()


async def _generated_password(db: Database, unshown: Path) -> str | None:
    """The password that a banner must still show: made now for a first administrator, or by a start that broke off before its banner."""
    await access.generated_admin(db, partial(private.write, unshown), door=True)
    return unshown.read_text(encoding="utf-8") if unshown.exists() else None


def _take(options: Options) -> None:
    """One `dev` a data directory, and both ports free: found out before anything is started."""
    if options.port == options.sandbox_port:
        say.stop(f"Webapp and sandbox cannot both have port {options.port}: give --sandbox-port another one.", say.CONFIGURATION)
    options.data_dir.mkdir(parents=True, exist_ok=True)
    lock = os.open(options.data_dir / LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    if not _locked(lock):
        say.stop(f"Another satchel dev runs on {options.data_dir}: stop it, or choose another --data-dir.", say.CONFIGURATION)
    (options.data_dir / STATE_FILE).unlink(missing_ok=True)  # of a start that was killed: its address and token are nobody's now
    for port, flag in ((options.port, "--port"), (options.sandbox_port, "--sandbox-port")):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                say.stop(
                    f"Port {port} cannot be used ({error.strerror}): stop what uses it, or choose another with {flag} "
                    f'(make run ARGS="{flag} {port + 100}").',
                    say.CONFIGURATION,
                )


def _locked(fd: int) -> bool:
    """Take the lock; a client that looks whether somebody holds it does so for a moment itself."""
    for _ in range(5):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.05)
    return False


def _supervise(settings: Settings, options: Options, started: Started) -> None:
    data = str(options.data_dir)
    trust = ["--node-ca", str(options.ca)] if options.ca else []
    sandbox = ["--port", str(options.sandbox_port), "--data-dir", f"{data}/sandbox", "--node", options.url, *trust]
    sandbox += ["--blob-days", str(options.blob_days)]
    web = ["--bind", f"127.0.0.1:{options.port}", "--data-dir", data, *(options.own.flags() if options.own else [])]
    children = [
        Child("sandbox", ["satchel_sandbox", *sandbox]),
        Child("Coreapp", ["satchel", "serve", "--role", "core", "--data-dir", data]),
        Child("Webapp", ["satchel", "serve", "--role", "web", *web]),
    ]
    state = options.data_dir / STATE_FILE
    with Supervisor(options.environ()) as supervisor:
        for child in children:
            supervisor.start(child)
        try:
            supervisor.wait_ready(options.url, "/_satchel/readyz", options.ca)
            _write_state(state, options, started)
            click.echo(banner(options, started, _ahead(options)))
            settings.unshown_password_file.unlink(missing_ok=True)
            supervisor.wait()
        except Stopped as stopped:
            if stopped.child is not None:
                say.stop(f"{stopped} Everything else is stopped, too: start it again, nothing that was accepted is lost.", say.UNEXPECTED)
            click.echo(f"Stopping ({stopped}); everything is kept in {options.data_dir}.", err=True)
        finally:
            state.unlink(missing_ok=True)


def _write_state(path: Path, options: Options, started: Started) -> None:
    state: dict[str, Any] = {"url": options.url, "sandbox_url": options.sandbox_url, "pid": os.getpid(), "token": started.token}
    state["upstream_secret"] = options.secret
    state |= {"ca": str(options.ca)} if options.ca else {}
    part = private.write(path.with_suffix(".part"), msgspec.json.encode(state).decode())
    part.replace(path)


def _ahead(options: Options) -> float:
    """Seconds that network time was moved forward, at an earlier start perhaps."""
    from satchel.client.sandbox import Sandbox

    return float(Sandbox(options.sandbox_url).clock()["offset"])


def banner(options: Options, started: Started, ahead: float = 0.0) -> str:
    """What a person needs to go on: addresses, the password once, phones, and lines to paste. `ahead`: see `_ahead`."""
    login, pasted = _login(options, started)
    lines = LINES.format(
        login=pasted,
        url=options.url,
        sandbox=options.sandbox_url,
        phone=PHONES[0],
        photo=PHOTO if Path(PHOTO).exists() else "photo.jpg",
        trust=f" --cacert {shlex.quote(str(options.ca))}" if options.ca else "",
    )
    hook = started.webhook or NO_HOOK.format(receiver=f"{say.command()} webhook serve")
    moved = CLOCK_MOVED.format(days=ahead / DAY, command=say.command()) if ahead else ""
    return f"""
  Satchel {__version__} · data in {options.data_dir}

  API       {options.url}/v1
  Sandbox   {options.sandbox_url}
  Login     admin / {login}
  Phones    {PHONES[0]} · {PHONES[1]}   (any other number works too)
  Webhook   {hook}{moved}

  Log in, upload, send, look:

  {indent(lines, "  ").strip()}

  Ctrl-C stops everything.
"""


def _login(options: Options, started: Started) -> tuple[str, str]:
    """What the banner says of the password, and how its lines name it to a shell."""
    if started.given:
        if started.given.in_file:
            return f"the password in the file that {ADMIN_PASSWORD_FILE} names", f'"$(cat "${ADMIN_PASSWORD_FILE}")"'
        return f"the password in {ADMIN_PASSWORD}", f'"${ADMIN_PASSWORD}"'
    if started.password:
        return f"{started.password}   (shown once; {ADMIN_PASSWORD} sets another)", started.password
    return f"the password shown at the first start\n{indent(f'(forgotten? {_another_password(options)})', ' ' * 12)}", "PASSWORD"


def _another_password(options: Options) -> str:
    """The command that makes one, as it can be run here."""
    where = "" if options.data_dir == DATA_DIR.absolute() else f" \\\n  --data-dir {shlex.quote(str(options.data_dir))}"
    return f"{say.command()} user passwd admin --generate{where}"
