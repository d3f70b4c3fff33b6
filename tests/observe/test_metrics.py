"""Instruments, snapshots and what they become."""

import subprocess
import sys

import msgspec
import pytest

from satchel.observe import metrics
from satchel.observe.figures import merged, snapshot
from satchel.observe.metrics import FACE, PROCESS


@pytest.mark.parametrize(
    ("method", "route", "name"),
    [
        ("POST", "/v1/media", "POST_v1_media"),
        ("GET", "/v1/media/{id:path}", "GET_v1_media_id"),
        ("GET", "/", "GET_"),
        ("GET", metrics.OTHER, "other"),
    ],
)
def test_calls_are_named_as_on_premises_does(method: str, route: str, name: str) -> None:
    assert metrics.named(method, route) == name


def test_a_snapshot_survives_json_and_gets_its_node() -> None:
    metrics.called_back("200", "status_change", 12, 0.4)
    metrics.called_back("ClientError", "status_change", 30, 9.0)
    sent = msgspec.json.decode(msgspec.json.encode(snapshot(PROCESS)))
    found = {family.name: family for family in merged({"one": sent, "two": {}})}
    assert {sample.labels["node"] for family in found.values() for sample in family.samples} == {"one"}
    assert {sample.labels["result"] for sample in found["satchel_webhook_attempts_total"].samples} >= {"taken", "unreachable"}
    assert {sample.name for sample in found["satchel_webhook_lag_seconds"].samples} == {
        f"satchel_webhook_lag_seconds_{part}" for part in ("bucket", "count", "sum")
    }
    assert {sample.labels["result"] for sample in found["callback_requests"].samples} >= {"success", "ClientError"}


def test_methods_that_nobody_knows_share_one_series() -> None:
    for number in range(50):
        metrics.served(f"M{number}", metrics.OTHER, 404, 0.001)
    (requests,) = [family for family in merged({"n": snapshot(FACE)}) if family.name == "endpoint_requests"]
    assert not [sample for sample in requests.samples if "M1" in sample.labels["method"]]


def test_client_commands_start_without_the_metrics_library() -> None:
    rooms = ", ".join(f"satchel.cli.{name}" for name in ("media", "send", "sandbox", "webhook"))
    code = f"import sys, {rooms}; print('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
