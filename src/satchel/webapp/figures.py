"""GET /metrics, /v1/metrics, /v1/stats/app, /v1/stats/db: this Webapp's own figures and what the other living processes beat last."""

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from satchel.db import Tx, hosts
from satchel.db import figures as rows
from satchel.domain import limits, room
from satchel.domain.errors import Later
from satchel.observe import metrics
from satchel.observe.figures import Family, Sample, Snapshot, merged, snapshot
from satchel.observe.metrics import FACE, NODE, PROCESS
from satchel.volume import Volume
from satchel.webapp import Webapp, bodies
from satchel.webapp.replies import reply

TEXT = "text/plain; version=0.0.4; charset=utf-8"
TABLES: tuple[rows.Table, ...] = ("message", "prep", "callback")


class Figures:
    """`keys`: under which keys the JSON form stands; without any only Prometheus' text is spoken."""

    def __init__(self, webapp: Webapp, keys: tuple[str, ...]) -> None:
        self._webapp = webapp
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = bodies.headers_of(scope)
        await self._webapp.gate.observer(headers)
        families = [family for family in await self._families() if self._shows(family.name)]
        if not self._keys or _wants_text(scope, headers):
            await Response(text(families), media_type=TEXT)(scope, receive, send)
            return
        body: dict[str, Any] = _json(families)
        for key in reversed(self._keys):
            body = {key: body}
        await reply(body)(scope, receive, send)

    def _shows(self, name: str) -> bool:
        """`stats` parts the figures: the database's, and what is neither that nor HTTP."""
        database = name.startswith(("db_", "satchel_db_"))
        match self._keys:
            case ("stats", "db"):
                return database
            case ("stats", "app"):
                return not database and not name.startswith(("web_", "api_"))
        return True

    async def _families(self) -> list[Family]:
        """While the database is away, this process's figures alone."""
        others: dict[str, Snapshot] = {}
        whole: Snapshot = {}
        try:
            others = await self._webapp.ports.db.read(self._others)
            await _measure(self._webapp.ports.volume, self._webapp.ports.limits.high_water)
            whole = snapshot(NODE)
        except Later:
            pass
        return merged({**others, self._webapp.name: {**snapshot(PROCESS, FACE), **whole}})

    def _others(self, tx: Tx) -> dict[str, Snapshot]:
        for table in TABLES:
            queue = rows.queue(tx, table)
            metrics.pipeline_queue.labels(table).set(queue.waiting)
            metrics.pipeline_oldest.labels(table).set(queue.oldest)
            metrics.db_rows.labels(table).set(rows.rows(tx, table))
            if table == "callback":
                metrics.callback_queue_size.set(queue.waiting)
        metrics.db_bytes.set(rows.size(tx, self._webapp.ports.db.dialect))
        return {host.id: host.stats.get("metrics", {}) for host in hosts.living(tx)}


async def _measure(volume: Volume, high_water: float) -> None:
    """Free is what is scarcer, bytes or inodes. A volume that is not there has no figures but its level."""
    try:
        space = await volume.space()
    except Later:
        space = None
    sizes = {"total": space.total, "free": space.free, "reserve": limits.reserve(space.total)} if space else {}
    for kind in ("total", "free", "reserve"):
        metrics.volume_bytes.labels(kind).set(sizes.get(kind, math.nan))
    shares = [part / whole for part, whole in ((space.free, space.total), (space.inodes_free, space.inodes)) if whole] if space else []
    metrics.volume_free_ratio.set(min(shares, default=math.nan))
    metrics.volume_level.set(room.LEVELS.index(room.level(space, high_water) if space else "missing"))


def text(families: list[Family]) -> str:
    """Prometheus' text format, 0.0.4."""
    lines = []
    for family in families:
        lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.type}"]
        lines += [f"{sample.name}{{{_labels(sample)}}} {sample.value!r}" for sample in family.samples]
    return "\n".join(lines) + "\n"


def _labels(sample: Sample) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _json(families: list[Family]) -> dict[str, Any]:
    """The form of On-Premises: one entry for each name of a sample; parts of a summary or histogram only ever grow."""
    entries: dict[str, Any] = {}
    for family in families:
        type_ = family.type if family.type in {"gauge", "counter"} else "counter"
        for sample in family.samples:
            entry = entries.setdefault(sample.name, {"type": type_, "help": family.help, "data": []})
            entry["data"].append({"labels": sample.labels, "value": sample.value})
    return entries


def _wants_text(scope: Scope, headers: Mapping[str, str]) -> bool:
    if asked := parse_qs(scope.get("query_string", b"").decode("latin-1")).get("format"):
        return str(asked[-1]).lower() == "prometheus"
    return headers.get("accept", "").lower().lstrip().startswith(("text/plain", "application/openmetrics-text"))
