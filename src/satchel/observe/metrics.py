"""What this process counts and measures, by name. Names without `satchel_` are those of On-Premises, so that old dashboards go on working.

No label ever holds what a caller chose: paths are the templates of our routes, everything else comes from lists of ours.
"""

import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, disable_created_metrics
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from satchel.observe.tally import Cell, Tally

disable_created_metrics()  # type: ignore[no-untyped-call]
PROCESS, FACE, NODE = CollectorRegistry(), CollectorRegistry(), CollectorRegistry()
"""Figures that every process has; those of a Webapp; those of the whole node, measured by whoever is asked."""
OTHER = "other"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_STARTED = time.monotonic()
_KB, _MB = 1 << 10, 1 << 20
_SIZES = (4 * _KB, 16 * _KB, 64 * _KB, 256 * _KB, _MB, 4 * _MB, 16 * _MB, 64 * _MB, 100 * _MB)
_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60)
_LAGS = (0.1, 0.3, 1, 3, 10, 60, 600, 3600, 86_400)

web_uptime = Gauge("web_uptime", "Seconds since this Webapp was started.", registry=FACE)
web_uptime.set_function(lambda: round(time.monotonic() - _STARTED, 3))
web_connections = Counter("web_connections", "Connections accepted.", registry=FACE)
web_requests = Gauge("web_requests", "Requests in work.", ["state"], registry=FACE)
api_requests_duration_ms = Tally("api_requests_duration_ms", "Time to answer a request.", ["result", "method"], FACE)
media_upload_bytes = Histogram("satchel_media_upload_bytes", "Size of uploaded files.", buckets=_SIZES, registry=FACE)

callback_requests = Counter("callback_requests", "Attempts to tell the business something.", ["result", "type"], registry=PROCESS)
callback_requests_duration_ms = Summary("callback_requests_duration_ms", "Time until a callback was answered.", registry=PROCESS)
webhook_attempts = Counter("satchel_webhook_attempts", "Attempts by how they ended.", ["result"], registry=PROCESS)
webhook_lag = Histogram("satchel_webhook_lag_seconds", "Age of callbacks when they were taken.", buckets=_LAGS, registry=PROCESS)
process_seconds = Histogram(
    "satchel_media_process_seconds", "Time of one step of post-processing.", ["type", "action"], buckets=_SECONDS, registry=PROCESS
)
media_refused = Counter("satchel_media_refused", "Messages whose media could not go out.", ["type", "reason"], registry=PROCESS)
media_received = Counter("satchel_media_received", "Received media by what came of it.", ["type", "result"], registry=PROCESS)
gc_deleted = Counter("satchel_gc_deleted", "What gc deleted, by risk class, and renditions and messages.", ["class"], registry=PROCESS)
reuploads = Counter("satchel_reuploads", "Phones that asked for media again, by what they were told.", ["result"], registry=PROCESS)
media_unavailable = Counter("satchel_media_unavailable", "Phones that were told that media are not to be had any more.", registry=PROCESS)
db_request_duration_us = Tally("db_request_duration_us", "Time that a transaction took.", ["method"], PROCESS)

callback_queue_size = Gauge("callback_queue_size", "Callbacks that wait, counted up to 50000.", registry=NODE)
pipeline_queue = Gauge("satchel_pipeline_queue", "Items that wait, counted up to 50000.", ["stage"], registry=NODE)
pipeline_oldest = Gauge("satchel_pipeline_oldest_seconds", "Age of the item that waits longest; 0 for none.", ["stage"], registry=NODE)
volume_bytes = Gauge("satchel_volume_bytes", "Size of the volume, what of it we may use, what uploads leave.", ["kind"], registry=NODE)
volume_level = Gauge("satchel_volume_level", "0 ok, 1 high water, 2 uploads refused, 3 full, 4 read-only, 5 missing.", registry=NODE)
volume_free_ratio = Gauge("satchel_volume_free_ratio", "Share of the volume that is free, of bytes or of inodes.", registry=NODE)
db_bytes = Gauge("satchel_db_bytes", "Size of the database.", registry=NODE)
db_rows = Gauge("satchel_db_rows", "Highest number given to a row: no table has more.", ["table"], registry=NODE)


class _Endpoints(Collector):
    """The same requests by endpoint alone, as On-Premises counts them, too."""

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily("endpoint_requests", "Requests answered.", labels=["method"])
        counts: dict[str, int] = {}
        for (_, method), cell in api_requests_duration_ms.cells.items():
            counts[method] = counts.get(method, 0) + cell.count
        for method, count in counts.items():
            family.add_metric([method], count)
        yield family


FACE.register(_Endpoints())
_answered: dict[tuple[str, str, int], Cell] = {}


def served(method: str, route: str, status: int, seconds: float) -> None:
    """Count one request. `route`: the template of the route, or `OTHER`, never the path as it was asked for."""
    (_answered.get((method, route, status)) or _bind(method, route, status)).add(seconds * 1000)


def _bind(method: str, route: str, status: int) -> Cell:
    known = method if method in METHODS else OTHER
    cell = api_requests_duration_ms.cell(str(status), named(known, route))
    if known == method:
        _answered[method, route, status] = cell
    return cell


def named(method: str, route: str) -> str:
    """As On-Premises names a call: `POST_v1_media`."""
    words = route.replace(":path", "").translate({ord(sign): None for sign in "{}"}).strip("/").split("/")
    return "_".join([method, *words]) if route != OTHER else OTHER


def watch(ongoing: Callable[[], int]) -> None:
    """This process is a Webapp; `ongoing` tells how many requests it has in work."""
    web_requests.labels("handle-request").set_function(ongoing)


def called_back(result: str, type_: str, ms: int, age: float) -> None:
    """Count one attempt of a callback. `result`: the HTTP status, or the kind of error; `age`: seconds since it was put down."""
    taken = result == "200"
    callback_requests.labels("success" if taken else result, type_).inc()
    callback_requests_duration_ms.observe(ms)
    webhook_attempts.labels("taken" if taken else "refused" if result.isdigit() else "unreachable").inc()
    if taken:
        webhook_lag.observe(max(0.0, age))
