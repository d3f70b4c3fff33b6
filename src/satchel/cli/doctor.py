"""`satchel doctor`: what is wrong with this host's node, and what to do about it."""

import asyncio
import errno
import os
import resource
import socket
import stat
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import rich_click as click

from satchel import build
from satchel.build import Looked
from satchel.cli import say, tls
from satchel.cli.bind import BIND, address
from satchel.cli.node import beside_dev
from satchel.cli.options import json_option, node_data_dir
from satchel.cli.state import ran_dev, state_of
from satchel.cli.volume import path_hint
from satchel.domain.errors import Fault, Later
from satchel.flows import preflight
from satchel.flows.preflight import Finding
from satchel.settings import Settings, SettingsError, load

NEEDS_DATABASE = ("database", "volume", "clock", "webhook", "upstream", "messages", "providers", "admin")
NAMES = ("config", *NEEDS_DATABASE, "port", "files", "password", "isolation", "coders")
MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}
FEW_FILES = 1024
Findings = dict[str, Finding]


def _names(ctx: Any, param: Any, value: str | None) -> tuple[str, ...]:
    names = NAMES if value is None else tuple(value.split(","))
    if unknown := [name for name in names if name not in NAMES]:
        raise click.BadParameter(f"{unknown[0]!r} is no check: choose from {', '.join(NAMES)}.")
    return names


@click.command(epilog="Example: satchel doctor --data-dir /var/lib/satchel --bind 0.0.0.0:9090")
@node_data_dir
@click.option("--only", callback=_names, metavar="NAME,...", help=f"Only these checks: {', '.join(NAMES)}.")
@click.option("--bind", metavar="HOST:PORT", help=f"Where satchel serve is told to listen; else a running satchel dev, else {BIND}.")
@json_option
def doctor(data_dir: Path, only: tuple[str, ...], bind: str | None, as_json: bool) -> None:
    """Check this host's node and say what to do. Changes nothing. Exit code 10 when there is a problem; a warning alone is none."""
    if bind is not None:
        address(bind)
    findings = asyncio.run(examine(data_dir, only, bind))
    counts = {level: sum(finding.level == level for finding in findings.values()) for level in MARKS}
    if as_json:
        checks = [{"name": name, **asdict(finding)} for name, finding in findings.items()]
        say.json({"checks": checks, "problems": counts["problem"], "warnings": counts["warning"]})
    else:
        for name, finding in findings.items():
            click.echo(f"{_mark(finding)} {name:<10} {finding.text}")
        click.echo(", ".join(f"{count} {level}{'' if count == 1 else 's'}" for level, count in reversed(counts.items()) if level != "ok"))
    if counts["problem"]:
        sys.exit(say.PROBLEMS)


async def examine(data_dir: Path, names: tuple[str, ...], bind: str | None = None) -> Findings:
    """The findings by name, in the order of NAMES."""
    found: Findings = {}
    try:
        settings = load(data_dir, os.environ)
        found["config"] = config(settings)
        if set(names) & set(NEEDS_DATABASE):
            found |= await _with_database(beside_dev(settings), names)
        found |= await _without_database(settings, names, bind)
    except SettingsError as error:
        return {"config": Finding("problem", say.runnable(str(error)))}
    return {name: replace(found[name], text=say.runnable(found[name].text)) for name in NAMES if name in names and name in found}


async def _with_database(settings: Settings, names: tuple[str, ...]) -> Findings:
    try:
        async with build.looked_at(settings) as looked:
            checks = _checks(settings, looked)
            found = {"database": await preflight.database(looked.db, looked.pending)}
            if found["database"].level == "problem":
                return found | _unchecked(names)
            return found | {name: await checks[name]() for name in names if name in checks}
    except SettingsError as error:
        why = str(error)
    except (Fault, Later) as refused:
        why = refused.details
    return {"database": Finding("problem", why), **_unchecked(names)}


def _checks(settings: Settings, looked: Looked) -> dict[str, Callable[[], Awaitable[Finding]]]:
    return {
        "volume": lambda: preflight.volume(looked.volume, settings.volume_path, settings.volume.high_water, path_hint(settings)),
        "clock": lambda: preflight.clock(looked.db),
        "webhook": lambda: preflight.webhook(looked.db, looked.egress),
        "upstream": lambda: preflight.upstream(looked.db, looked.upstream),
        "messages": lambda: preflight.messages(looked.db),
        "providers": lambda: preflight.providers(looked.db),
        "admin": lambda: preflight.admin(looked.db),
    }


def _unchecked(names: tuple[str, ...]) -> Findings:
    return {name: Finding("warning", "not checked, for want of the database") for name in NEEDS_DATABASE[1:] if name in names}


async def _without_database(settings: Settings, names: tuple[str, ...], bind: str | None) -> Findings:
    found: Findings = {}
    if "port" in names:
        found["port"] = await asyncio.to_thread(_port, settings, bind)
    if "files" in names:
        found["files"] = files()
    if "password" in names:
        found["password"] = await preflight.password()
    if "isolation" in names:
        found["isolation"] = await asyncio.to_thread(isolation, settings)
    if "coders" in names:
        found["coders"] = await asyncio.to_thread(coders)
    return found


def config(settings: Settings) -> Finding:
    """Where values come from, whether Webapp can speak TLS with its files, and whether files that hold secrets are for their owner only."""
    try:
        tls.context(settings)
    except SettingsError as error:
        return Finding("problem", str(error))
    open_to_all = [
        path
        for path in (settings.database_file, settings.admin_password_file)
        if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ]
    if open_to_all:
        return Finding("problem", f"{open_to_all[0]} holds secrets and others may read it: chmod 600 it")
    if settings.unknown:
        return Finding("warning", settings.unknown)
    origins = sorted(set(settings.origins.values()))
    return Finding("ok", f"{len(settings.origins)} settings from {', '.join(origins)}" if origins else "nothing but defaults")


def _port(settings: Settings, bind: str | None) -> Finding:
    """Of a running `satchel dev` unless another address is asked for: it says itself where it and its simulated network listen."""
    dev = state_of(settings.data_dir) if bind is None else {}
    if "url" in dev:
        return beside(str(dev["url"]), str(dev["sandbox_url"]))
    if bind is None and (found := stopped(settings.data_dir, BIND)):
        return found
    # serve's --https is no setting, so both are tried, the one that the settings say first.
    return port(bind or BIND, ("https", "http") if settings.webapp.tls_certificate else ("http", "https"))


def stopped(data_dir: Path, bind: str) -> Finding | None:
    """What to say where a `satchel dev` has run and nobody listens where `satchel serve` would."""
    if not ran_dev(data_dir) or _refused(*address(bind)) is not None:
        return None
    told = f"no node runs on {data_dir}, and nobody listens at {bind}"
    return Finding("warning", f"{told}: start satchel dev again, or name the --bind of satchel serve")


def port(bind: str, schemes: Sequence[str] = ("http", "https")) -> Finding:
    """Whether the node, nobody or somebody else listens where the node should; the port is taken for a moment to see whether it can be."""
    host, number = address(bind)
    if (refused := _refused(host, number)) is None:
        return Finding("ok", f"nobody listens at {bind}: a node may start there")
    if refused.errno != errno.EADDRINUSE:
        return Finding("problem", f"nobody can listen at {bind} ({refused.strerror}): give satchel serve another --bind")
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    urls = [f"{scheme}://{f'[{reached}]' if ':' in reached else reached}:{number}" for scheme in schemes]
    if url := next((url for url in urls if _answers(url, "/_satchel/livez")), None):
        return Finding("ok", f"a node answers at {url}")
    return Finding("warning", f"what listens at {bind} is no node: stop it, or give satchel serve another --bind")


def beside(url: str, sandbox_url: str) -> Finding:
    """Whether a `satchel dev` and its simulated network answer where they say."""
    silent = [one for one, path in ((url, "/_satchel/livez"), (sandbox_url, "/sandbox/readyz")) if not _answers(one, path)]
    if silent:
        return Finding("problem", f"satchel dev runs, and nothing of it answers at {' and '.join(silent)}: stop it and start it again")
    return Finding("ok", f"a node answers at {url}, its simulated network at {sandbox_url}")


def _refused(host: str, number: int) -> OSError | None:
    """Why the system does not let us listen there."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, number))
    except OSError as error:
        return error
    return None


def _answers(url: str, path: str) -> bool:
    """A certificate need not be for this address to be ours."""
    from satchel.client.connection import Unreachable, fetch, trust_anybody

    try:
        return fetch(url, path, trust_anybody(), timeout=2)[0] == 200
    except Unreachable:
        return False


def files() -> Finding:
    """How many files and connections a process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FEW_FILES:
        return Finding("warning", f"a process may open {soft} files, and a transfer takes two: raise ulimit -n to {FEW_FILES} or more")
    return Finding("ok", f"a process may open {'any number of' if soft == resource.RLIM_INFINITY else soft} files")


def isolation(settings: Settings) -> Finding:
    """What post-processing children give up on this host."""
    try:
        reached = build.isolation(settings)
    except Later as later:
        return Finding("problem", later.details)
    return Finding("ok", "; ".join(f"a child for {family} has: {', '.join(level)}" for family, level in reached.items()))


def coders() -> Finding:
    """What audio and video that cannot go out as they are can be made into."""
    found = build.coders()
    if missing := [what for what, name in found.items() if not name]:
        what = " and ".join(missing)
        return Finding("warning", f"FFmpeg has no encoder for {what}: what needs it is not sent; install a PyAV whose FFmpeg has one")
    return Finding("ok", ", ".join(f"{what} by {name}" for what, name in found.items()))


def _mark(finding: Finding) -> str:
    if not sys.stdout.isatty():
        return f"{finding.level:<8}"
    symbol, colour = MARKS[finding.level]
    return symbol if os.environ.get("NO_COLOR") else click.style(symbol, fg=colour)
