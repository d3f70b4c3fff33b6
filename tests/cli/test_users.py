"""`satchel user` and `satchel token`: over the database, and felt by a running node at once."""

import json
import re
import subprocess
from pathlib import Path

import apsw
import httpx2

from ..journeys.running import eventually
from .dev import SATCHEL, Dev, environment, satchel

SHOP = "Shop-Window-7"


def typed(dev: Dev, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command with something on stdin."""
    command = [*SATCHEL, *arguments]
    return subprocess.run(command, input=text, cwd=dev.folder, env=environment(), capture_output=True, text=True, timeout=60, check=False)


def login(dev: Dev, name: str, password: str, address: str = "", **body: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{dev.port}/v1/users/login"
    headers = {"X-Forwarded-For": address} if address else {}
    answer = httpx2.post(url, auth=(name, password), headers=headers, json=body, trust_env=False)
    return answer.status_code, answer.json()["users"][0]["token"] if answer.status_code == 200 else ""


def works(dev: Dev, token: str) -> int:
    url = f"http://127.0.0.1:{dev.port}/v1/media/nothing"
    return httpx2.get(url, headers={"Authorization": f"Bearer {token}"}, trust_env=False).status_code


def test_a_user_from_its_first_to_its_last_day(dev: Dev) -> None:
    added = typed(dev, f"{SHOP}\n", "user", "add", "shop")
    assert (added.returncode, added.stdout, "ROLE_USER" in added.stderr) == (0, "", True)
    assert login(dev, "shop", SHOP)[0] == 200
    listed = json.loads(satchel("user", "ls", "--json", cwd=dev.folder).stdout)["users"]
    assert listed == [{"username": "admin", "role": "ROLE_ADMIN"}, {"username": "shop", "role": "ROLE_USER"}]
    assert satchel("user", "ls", cwd=dev.folder).stdout.split() == ["admin", "ROLE_ADMIN", "shop", "ROLE_USER"]
    changed = satchel("user", "passwd", "shop", "--generate", cwd=dev.folder)
    status, token = login(dev, "shop", changed.stdout.strip())
    assert (changed.returncode, status, works(dev, token)) == (0, 200, 404)
    assert satchel("user", "logout-all", "shop", cwd=dev.folder).returncode == 0
    assert works(dev, token) == 401
    _, token = login(dev, "shop", changed.stdout.strip())
    assert satchel("user", "rm", "shop", cwd=dev.folder).returncode == 0
    assert (works(dev, token), login(dev, "shop", changed.stdout.strip())[0]) == (401, 401)


def test_a_token_made_by_hand_works_until_it_is_revoked(dev: Dev) -> None:
    assert typed(dev, f"{SHOP}\n", "user", "add", "till-2", "--role", "admin").returncode == 0
    made = satchel("token", "new", "--user", "till-2", "--ttl", "90d", cwd=dev.folder)
    token = made.stdout.strip()
    assert (made.returncode, works(dev, token)) == (0, 404)
    assert satchel("token", "revoke", token, cwd=dev.folder).returncode == 0
    assert works(dev, token) == 401


def test_what_is_wrong_is_one_sentence_and_an_exit_code(dev: Dev, tmp_path: Path) -> None:
    for code, arguments in (
        (5, ("user", "rm", "nobody")),
        (5, ("user", "passwd", "nobody")),
        (5, ("user", "logout-all", "nobody")),
        (5, ("token", "new", "--user", "nobody")),
        (6, ("user", "rm", "admin")),
        (6, ("user", "add", "admin", "--generate")),
        (6, ("user", "add", "a b", "--generate")),
        (6, ("token", "revoke", "nonsense")),
        (6, ("token", "revoke", "a.b.c")),
        (2, ("user", "add", "shop-3")),
        (2, ("token", "new", "--user", "admin", "--ttl", "soon")),
        (2, ("token", "new", "--user", "admin", "--ttl", "4000d")),
    ):
        done = typed(dev, "", *arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1), (arguments, done.stderr)
    weak = typed(dev, "weak\n", "user", "add", "shop-3")
    assert (weak.returncode, "8 to 64 characters" in weak.stderr) == (6, True)
    nowhere = satchel("user", "ls", cwd=tmp_path)
    assert (nowhere.returncode, nowhere.stderr.count("\n"), list(tmp_path.iterdir())) == (3, 1, [])


def test_forwarded_headers_of_a_neighbour_do_not_release_the_brake(dev: Dev) -> None:
    statuses = [login(dev, "nobody", "wrong", f"10.0.0.{n}")[0] for n in range(11)]
    assert statuses == [401] * 10 + [429]


def test_another_password_releases_the_brake(dev: Dev) -> None:
    assert typed(dev, f"{SHOP}\n", "user", "add", "shop-9").returncode == 0
    assert [login(dev, "shop-9", f"wrong {n}")[0] for n in range(11)] == [401] * 10 + [429]
    made = satchel("user", "passwd", "shop-9", "--generate", cwd=dev.folder).stdout.strip()
    assert login(dev, "shop-9", made)[0] == 200


def test_the_factory_password_opens_a_generated_dev_until_somebody_serves_by_hand(tmp_path: Path) -> None:
    dev = Dev(tmp_path)
    assert login(dev, "admin", "secret")[0] == 401
    dev.stop()
    again = Dev(tmp_path)
    assert login(again, "admin", "secret", new_password="weak")[0] == 400
    again.stop()
    serve_by_hand(tmp_path / ".satchel")
    last = Dev(tmp_path)
    try:
        assert login(last, "admin", "secret", new_password=SHOP)[0] == 401
    finally:
        last.stop()


def serve_by_hand(data_dir: Path) -> None:
    """Until the door is gone."""
    command = [*SATCHEL, "serve", "--role", "core", "--data-dir", str(data_dir)]
    rows = apsw.Connection(str(data_dir / "satchel.db"))
    core = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)
    try:
        door = "SELECT 1 FROM setting WHERE key = 'factory_door'"
        eventually(lambda: not list(rows.execute(door)), 20, lambda: "the door is still there")
    finally:
        core.terminate()
        core.wait(40)
        rows.close()


def test_the_factory_password_sets_the_first_real_one(tmp_path: Path) -> None:
    dev = Dev(tmp_path)
    try:
        status, token = login(dev, "admin", "secret", new_password=SHOP)
        assert (status, works(dev, token)) == (200, 404)
        assert login(dev, "admin", "secret", new_password=SHOP)[0] == 401
        assert login(dev, "admin", SHOP)[0] == 200
    finally:
        dev.stop()


def test_a_preset_password_leaves_no_factory_door(tmp_path: Path) -> None:
    dev = Dev(tmp_path, SATCHEL_ADMIN_PASSWORD=SHOP)
    try:
        assert login(dev, "admin", "secret", new_password="Other-Window-8")[0] == 401
    finally:
        dev.stop()


def test_who_came_in_with_a_dead_token_of_dev_is_told_how_to_go_on(dev: Dev) -> None:
    assert satchel("user", "logout-all", "admin", cwd=dev.folder).returncode == 0
    refused = satchel("media", "ls", cwd=dev.folder)
    assert (refused.returncode, refused.stderr.count("\n")) == (4, 1)
    again = re.search(r"SATCHEL_TOKEN=\$\((.+)\)", refused.stderr)
    assert again is not None
    assert again[1].endswith("satchel token new --user admin")
    made = subprocess.run(again[1], shell=True, cwd=dev.folder, env=environment(), capture_output=True, text=True, timeout=60, check=True)
    assert satchel("media", "ls", cwd=dev.folder, SATCHEL_TOKEN=made.stdout.strip()).returncode == 0
    token = satchel("token", "new", "--user", "admin", cwd=dev.folder).stdout.strip()
    assert satchel("media", "ls", cwd=dev.folder, SATCHEL_TOKEN=token).returncode == 0
    own = satchel("media", "ls", cwd=dev.folder, SATCHEL_TOKEN="x")
    assert (own.returncode, "token new" in own.stderr) == (4, False)
