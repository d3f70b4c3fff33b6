"""gc with real processes: a month later, the plan says what phones would lose, a call deletes, a callback tells."""

import json
import os
import subprocess
import sys
from typing import Any

from .running import SECRET, Hook, Node, eventually

HAS, HAS_NOT = "12025550111", "12025550117"


def plan(node: Node) -> Any:
    environ = {**os.environ, **node.place.environ, "SATCHEL_UPSTREAM__URL": node.sandbox_url, "SATCHEL_UPSTREAM__SECRET": SECRET}
    command = [sys.executable, "-m", "satchel", "volume", "gc", "--dry-run", "--json", "--data-dir", str(node.place.data_dir)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_p16_a_month_later_gc_deletes_and_tells(node: Node, hook: Hook) -> None:
    node.set_hook(hook.url)
    node.http.post(f"{node.sandbox_url}/sandbox/phones", json={"number": HAS_NOT, "auto_download": False})
    fetched, unfetched, never = (node.upload(name, "text/plain") for name in (b"fetched", b"unfetched", b"never sent"))
    for number, media in ((HAS, fetched), (HAS_NOT, unfetched)):
        hook.wait(node.send(number, "document", media), "delivered")
    node.phone_until(HAS, 1)
    assert node.http.put(f"{node.sandbox_url}/sandbox/clock", json={"advance": "31d"}).status_code == 200
    eventually(lambda: plan(node)["classes"]["D"]["files"] == 1, 30, lambda: f"the node did not follow the clock: {plan(node)}")
    found = plan(node)
    assert found["downloads_known"]
    assert {name: share["files"] for name, share in found["classes"].items()} == {"A": 1, "B": 0, "C": 1, "D": 1, "E": 0}
    assert found["classes"]["C"]["phones"] == 1
    young = node.upload(b"of the new day", "text/plain")
    answer = node.call("PUT", "/v1/services/media/gc")
    assert answer.json()["services"] == {"media": {"gc": {"status": "processing"}}}
    told = {"services": [{"media": {"gc": {"items_deleted": 3, "status": "complete"}}}]}
    eventually(lambda: told in hook.bodies, 30, lambda: f"not told: {hook.bodies}; {node.log.read_text()[-3000:]}")
    assert [node.call("GET", f"/v1/media/{media}").status_code for media in (fetched, unfetched, never, young)] == [404, 404, 404, 200]
    assert [path.name for path in (node.place.data_dir / "media" / "shared").iterdir()] == [young]
    node.call("PUT", "/v1/services/message/gc")

    def forgotten() -> bool:
        services = [entry for body in hook.bodies for entry in body.get("services", [])]
        return any(entry.get("message", {}).get("gc", {}).get("messages_deleted") == 2 for entry in services)

    eventually(forgotten, 30, lambda: f"not told: {hook.bodies}")
