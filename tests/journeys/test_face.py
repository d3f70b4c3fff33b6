"""What one sees from outside while a whole node works, on both engines."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families as parsed

from .running import Hook, Node, eventually

PHONE = "12025550111"


def figures(node: Node, name: str, part: str) -> float:
    """The sum of a sample over its labels, as the processes of one role report it. The parser ends every counter in `_total`."""
    families = parsed(node.call("GET", "/metrics").text)
    found = [sample for family in families for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in found if f".{part}." in sample.labels["node"])


def test_any_webapp_shows_what_coreapp_does(node: Node, hook: Hook, photo: Path) -> None:
    node.set_hook(hook.url)
    hook.wait(node.send(PHONE, "image", node.upload(photo.read_bytes())), "delivered")
    eventually(lambda: figures(node, "satchel_webhook_attempts_total", "core") == 1, 10.0, lambda: node.call("GET", "/metrics").text)
    assert figures(node, "satchel_webhook_lag_seconds_count", "core") == 1
    assert figures(node, "satchel_media_process_seconds_count", "core") == 2
    assert figures(node, "satchel_media_upload_bytes_sum", "web") == photo.stat().st_size
    assert figures(node, "web_connections_total", "web") >= 1
    assert figures(node, "web_requests", "web") == 1
    assert figures(node, "db_request_duration_us_count", "core") > 0
    assert figures(node, "web_uptime", "core") == 0


def test_health_is_the_coreapps_and_a_stop_in_order_shows_at_once(node: Node) -> None:
    assert node.call("GET", "/v1/health").json()["health"] == {"gateway_status": "connected"}
    node.stop("core")
    assert node.call("GET", "/v1/health").json()["health"] == {"gateway_status": "disconnected"}
    assert figures(node, "db_request_duration_us_count", "core") == 0
