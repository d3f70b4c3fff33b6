"""`satchel doctor`: what is wrong with this host's node, and what to do about it."""

import asyncio
import os
import resource
import stat
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import rich_click as click

from satchel import build
from satchel.build import Looked
from satchel.cli import say, tls
from satchel.cli.options import json_option, node_data_dir
from satchel.cli.state import state_of
from satchel.domain.errors import Fault, Later
from satchel.flows import preflight
from satchel.flows.preflight import Finding
from satchel.settings import Settings, SettingsError, load

NEEDS_DATABASE = ("database", "volume", "clock", "webhook", "upstream", "admin")
NAMES = ("config", *NEEDS_DATABASE, "port", "files", "password", "isolation")
MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}
FEW_FILES = 1024
PORT = "127.0.0.1:9090"
Findings = dict[str, Finding]


def _names(ctx: Any, param: Any, value: str | None) -> tuple[str, ...]:
    names = NAMES if value is None else tuple(value.split(","))
    if unknown := [name for name in names if name not in NAMES]:
        raise click.BadParameter(f"{unknown[0]!r} is no check: choose from {', '.join(NAMES)}.")
    return names


@click.command(epilog="Example: satchel doctor --data-dir /var/lib/satchel --only database,volume")
@node_data_dir
@click.option("--only", callback=_names, metavar="NAME,...", help=f"Only these checks: {', '.join(NAMES)}.")
@json_option
def doctor(data_dir: Path, only: tuple[str, ...], as_json: bool) -> None:
    """Check this host's node and say what to do. Changes nothing. Exit code 10 when there is a problem; a warning alone is none."""
    findings = asyncio.run(examine(data_dir, only))
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


async def examine(data_dir: Path, names: tuple[str, ...]) -> Findings:
    """The findings by name, in the order of NAMES."""
    found: Findings = {}
    try:
        settings = load(data_dir, os.environ)
        found["config"] = config(settings)
        if set(names) & set(NEEDS_DATABASE):
            found |= await _with_database(settings, names)
        found |= await _without_database(settings, names)
    except SettingsError as error:
        return {"config": Finding("problem", str(error))}
    return {name: found[name] for name in NAMES if name in names and name in found}


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
        "volume": lambda: preflight.volume(looked.volume, settings.volume_path, settings.volume.high_water),
        "clock": lambda: preflight.clock(looked.db),
        "webhook": lambda: preflight.webhook(looked.db, looked.egress),
        "upstream": lambda: preflight.upstream(looked.db, looked.upstream),
        "admin": lambda: preflight.admin(looked.db),
    }


def _unchecked(names: tuple[str, ...]) -> Findings:
    return {name: Finding("warning", "not checked, for want of the database") for name in NEEDS_DATABASE[1:] if name in names}


async def _without_database(settings: Settings, names: tuple[str, ...]) -> Findings:
    found: Findings = {}
    if "port" in names:
        dev = state_of(settings.data_dir)
        found["port"] = await asyncio.to_thread(port, [str(dev["url"])] if "url" in dev else _urls(settings))
    if "files" in names:
        found["files"] = files()
    if "password" in names:
        found["password"] = await preflight.password()
    if "isolation" in names:
        found["isolation"] = await asyncio.to_thread(isolation, settings)
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
    origins = sorted(set(settings.origins.values()))
    return Finding("ok", f"{len(settings.origins)} settings from {', '.join(origins)}" if origins else "nothing but defaults")


def _urls(settings: Settings) -> list[str]:
    """Where `satchel serve` listens unless told. Its --https is no setting, so both are tried, the one that the settings say first."""
    schemes = ("https", "http") if settings.webapp.tls_certificate else ("http", "https")
    return [f"{scheme}://{PORT}" for scheme in schemes]


def port(urls: Sequence[str]) -> Finding:
    """Whether the node, nobody or somebody else listens where the node should. A certificate need not be for this address to be ours."""
    from satchel.client.connection import NobodyListens, Unreachable, fetch, trust_anybody

    for url in urls:
        try:
            if fetch(url, "/_satchel/livez", trust_anybody(), timeout=2)[0] == 200:
                return Finding("ok", f"a node answers at {url}")
        except NobodyListens:
            return Finding("ok", f"nobody listens at {url}: a node may start there")
        except Unreachable:
            pass
    return Finding("warning", f"what listens at {urls[0]} is no node: stop it, or give satchel serve another --bind")


def files() -> Finding:
    """How many files and connections a process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FEW_FILES:
        return Finding("warning", f"a process may open {soft} files, and a transfer takes two: raise ulimit -n to {FEW_FILES} or more")
    return Finding("ok", f"a process may open {'any number of' if soft == resource.RLIM_INFINITY else soft} files")


def isolation(settings: Settings) -> Finding:
    """What a post-processing child gives up on this host."""
    try:
        reached = build.isolation(settings)
    except Later as later:
        return Finding("problem", later.details)
    return Finding("ok", f"a post-processing child has: {', '.join(reached)}")


def _mark(finding: Finding) -> str:
    if not sys.stdout.isatty():
        return f"{finding.level:<8}"
    symbol, colour = MARKS[finding.level]
    return symbol if os.environ.get("NO_COLOR") else click.style(symbol, fg=colour)
