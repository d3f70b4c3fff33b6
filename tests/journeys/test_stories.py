"""Five people and what they came for, told from their side: with their old client, their terminal, their webhook. Real processes.

The second one, who writes tests for an integration in CI, has a page and tests of its own with the test kit.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from .. import engines
from ..cli.dev import Dev, satchel
from ..conftest import Place
from .running import Hook, Node, eventually
from .small import Small, mounted

PHONE, LATE, LATER = "12025550111", "12025550112", "12025550113"
Json = dict[str, Any]


def terminal(node: Node, *arguments: str, code: int = 0) -> str:
    """What a command prints on the host of a node, for somebody who has a token."""
    token = node.headers["Authorization"].removeprefix("Bearer ")
    environ = {**node.environ, "SATCHEL_URL": node.url, "SATCHEL_TOKEN": token, "SATCHEL_SANDBOX_URL": node.sandbox_url}
    place = ("--data-dir", str(node.place.data_dir)) if arguments[0] == "volume" else ()
    done = satchel(*arguments, *place, cwd=node.place.data_dir, **environ)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


class OldClient:
    """As integrations were written against On-Premises: logs in before every call, and reads `[one] = list`."""

    def __init__(self, url: str) -> None:
        self._http = httpx2.Client(base_url=url, trust_env=False, timeout=20.0)
        self._password = ""

    def bootstrap(self, factory: str, password: str) -> None:
        """The first thing that the old guide asks for: another password than the one everybody knows."""
        answer = self._http.post("/v1/users/login", auth=("admin", factory), json={"new_password": password})
        assert answer.status_code == 200, answer.text
        self._password = password

    def call(self, method: str, path: str, **given: Any) -> Json:
        [user] = self._http.post("/v1/users/login", auth=("admin", self._password)).json()["users"]
        headers = {"Authorization": f"Bearer {user['token']}", **given.pop("headers", {})}
        answer = self._http.request(method, path, headers=headers, **given)
        assert answer.status_code // 100 == 2, answer.text
        found: Json = answer.json()
        return found

    def close(self) -> None:
        self._http.close()


def db_env(postgres: str) -> dict[str, str]:
    """The file `db.env` of an On-Premises installation, with the address of an empty database."""
    parts = psycopg.conninfo.conninfo_to_dict(postgres)
    return {
        "WA_DB_ENGINE": "PGSQL",
        "WA_DB_HOSTNAME": str(parts["host"]),
        "WA_DB_PORT": str(parts.get("port") or "5432"),
        "WA_DB_USERNAME": str(parts["user"]),
        "WA_DB_PASSWORD": str(parts.get("password") or "does-not-matter-here"),
        "WA_DB_NAME_PREFIX": str(parts["dbname"]),
        "WA_DB_CONNECTION_IDLE_TIMEOUT": "180000",
        "WA_WEB_JWT_CRYPTO_KEY": "a-key-of-at-least-32-characters-kept",
    }


def test_story_1_a_stranded_integrator_changes_nothing_but_the_address(postgres_url: str, tmp_path: Path, hook: Hook, photo: Path) -> None:
    database = engines.fresh_database(postgres_url)
    dev = Dev(tmp_path, **db_env(database))
    client = OldClient(dev.url)
    try:
        client.bootstrap("secret", "Quay-Lantern-42")
        client.call("PATCH", "/v1/settings/application", json={"webhooks": {"url": hook.url}, "sent_status": True, "pass_through": False})
        [media] = client.call("POST", "/v1/media", content=photo.read_bytes(), headers={"Content-Type": "image/jpeg"})["media"]
        [contact] = client.call("POST", "/v1/contacts", json={"blocking": "wait", "contacts": ["+1 202-555-0111"]})["contacts"]
        message = {"to": contact["wa_id"], "type": "image", "recipient_type": "individual", "image": {"id": media["id"], "caption": None}}
        sent = client.call("POST", "/v1/messages", json=message)["messages"][0]["id"]
        hook.wait(sent, "delivered", timeout=30)
        assert hook.statuses(sent) == ["sent", "delivered"]
        with psycopg.connect(database) as connection:
            assert connection.execute("SELECT id FROM message").fetchall() == [(sent,)]
        token = satchel("token", "new", "--user", "admin", cwd=tmp_path, **db_env(database)).stdout.strip()
        shown = satchel("message", "ls", cwd=tmp_path, SATCHEL_TOKEN=token)
        assert (sent in shown.stdout, "delivered" in shown.stdout) == (True, True), shown.stderr
    finally:
        client.close()
        dev.stop()
        engines.drop_database(database, postgres_url)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with mounted(tmp_path / "disk", f"{32 << 20}") as disk:
        yield disk


@pytest.fixture
def night(place: Place, small: Small, hook: Hook) -> Iterator[Node]:
    """A node whose volume lies on a small disk, and which tells of its filling up."""
    node = Node(Place(place.data_dir, {**place.environ, "SATCHEL_VOLUME__PATH": str(small.root / "media")}))
    try:
        node.start_all()
        node.set_hook(hook.url)
        node.alert(True)
        yield node
    finally:
        node.stop_all()


def alerts(hook: Hook) -> list[str]:
    services = [one["media"] for body in list(hook.bodies) for one in body.get("services", [])]
    return [media["volume"]["status"] for media in services if "volume" in media]


def noise(number: int, size: int = 4 << 20) -> bytes:
    return random.Random(number).randbytes(size)


def test_story_3_an_operator_at_three_in_the_morning_frees_room_and_nobody_loses_a_file(night: Node, hook: Hook) -> None:
    node = night
    for number in (LATE, LATER):
        node.http.post(f"{node.sandbox_url}/sandbox/phones", json={"number": number, "auto_download": False})
    expired = node.upload(noise(1), "text/plain")
    hook.wait(node.send(LATER, "document", expired), "delivered", timeout=30)
    node.advance("15d")
    fetched, unfetched, never = (node.upload(noise(n), "text/plain") for n in (2, 3, 4))
    for number, media in ((PHONE, fetched), (LATE, unfetched)):
        hook.wait(node.send(number, "document", media), "delivered", timeout=30)
    node.phone_until(PHONE, 1)
    node.advance("2d")
    more = [node.upload(noise(n), "text/plain") for n in (5, 6, 7)]
    eventually(lambda: alerts(hook)[-1:] == ["high_water"], 15, lambda: str(hook.bodies))

    plan = json.loads(terminal(node, "volume", "gc", "--dry-run", "--older-than", "1d", "--json"))
    assert {name: share["files"] for name, share in plan["classes"].items()} == {"A": 1, "B": 1, "C": 1, "D": 1, "E": 0}
    assert "Deleted 3 media" in terminal(node, "volume", "gc", "--older-than", "1d", "--classes", "A,B,D", "--yes")

    eventually(lambda: alerts(hook)[-1:] == ["ok"], 15, lambda: str(hook.bodies))
    assert [node.call("GET", f"/v1/media/{media}").status_code for media in (fetched, unfetched, never)] == [404] * 3
    assert [node.call("GET", f"/v1/media/{media}").status_code for media in (expired, *more)] == [200] * 4
    for number in (PHONE, LATE, LATER):  # from the server, and from the node where the server has it no more
        assert node.act(number, "download", "latest", wait="20s")["media"]["state"] == "downloaded"


def test_story_4_a_support_agent_learns_why_a_picture_cannot_be_opened(node: Node, photo: Path) -> None:
    node.http.post(f"{node.sandbox_url}/sandbox/phones", json={"number": LATE, "auto_download": False})
    media = node.upload(photo.read_bytes())
    message = node.send(LATE, "image", media)
    eventually(lambda: len(node.phone(LATE)) == 1, 20, node.log.read_text)
    node.advance("15d")
    assert node.call("DELETE", f"/v1/media/{media}").status_code == 200
    assert node.act(LATE, "download", message, wait="20s")["media"]["state"] == "unavailable"

    assert terminal(node, "message", "ls", "--to", "+1 (202) 555-0112", "--quiet").split() == [message]
    eventually(
        lambda: "media_reuploaded" in terminal(node, "message", "show", message), 10, lambda: terminal(node, "message", "show", message)
    )
    shown = json.loads(terminal(node, "message", "show", message, "--json"))
    asked, answered = (next(step for step in shown["steps"] if step["step"] == name) for name in ("media_requested", "media_reuploaded"))
    assert (asked["reason"], answered["outcome"], answered["reason"]) == (f"by {LATE}", "failed", "The media was deleted.")
    assert shown["media_id"] == media
    told = terminal(node, "media", "info", media, code=5)
    assert "was deleted at 20" in told
    assert "by admin" in told


def test_story_5_a_developer_with_a_failing_webhook_sees_why_mends_it_and_replays(node: Node, hook: Hook) -> None:
    node.call("PATCH", "/v1/settings/application", json={"callback_backoff_delay_ms": 600_000, "max_callback_backoff_delay_ms": 900_000})
    hook.answers, hook.says = [500] * 10, b"KeyError: 'messages'\n"  # a bug of theirs
    node.set_hook(hook.url)
    message = node.send(PHONE, "document", node.upload(b"a bill", "text/plain"))
    hook.wait(message, "delivered")
    eventually(lambda: "delivered" in terminal(node, "webhook", "ls", "--waiting"), 10, lambda: terminal(node, "webhook", "ls"))
    [waiting] = json.loads(terminal(node, "webhook", "ls", "--waiting", "--json"))["callbacks"]
    shown = terminal(node, "webhook", "show", waiting["id"])
    assert f'"id":"{message}"' in shown.replace(" ", "")
    assert "attempt 1" in shown
    assert "answered 500  " in shown
    assert "KeyError: 'messages'" in shown
    hook.answers = []  # they have mended it
    assert "1 told again" in terminal(node, "webhook", "replay", waiting["id"])
    eventually(lambda: len(hook.bodies) == 2, 10, lambda: terminal(node, "webhook", "show", waiting["id"]))
    assert (hook.bodies[0], hook.ids[0]) == (hook.bodies[1], hook.ids[1])
    eventually(lambda: not json.loads(terminal(node, "webhook", "ls", "--waiting", "--json"))["callbacks"], 10, lambda: str(hook.bodies))
