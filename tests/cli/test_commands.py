"""Client commands against a running node, and the node commands `serve` and `migrate`."""

import json
import signal
import socket
import stat
import subprocess
from pathlib import Path

import httpx2
import pytest

from satchel.cli import sandbox_show
from satchel.db import schema

from ..journeys.running import eventually, free_port
from .dev import SATCHEL, Dev, environment, satchel


def test_media_goes_up_comes_back_and_goes(dev: Dev, tmp_path: Path) -> None:
    (dev.folder / "note.txt").write_text("hello")
    up = satchel("media", "upload", "note.txt", cwd=dev.folder)
    media = up.stdout.strip()
    assert (up.returncode, len(media)) == (0, 36)
    assert satchel("media", "get", media, "-o", "-", cwd=dev.folder).stdout == "hello"
    assert satchel("media", "get", media, "-o", str(tmp_path / "back"), cwd=dev.folder).returncode == 0
    assert (tmp_path / "back").read_text() == "hello"
    assert satchel("media", "rm", media, cwd=dev.folder).returncode == 0
    gone = satchel("media", "get", media, "-o", str(tmp_path / "gone"), cwd=dev.folder)
    assert (gone.returncode, gone.stdout) == (5, "")
    assert list(tmp_path.iterdir()) == [tmp_path / "back"]


def test_the_node_may_be_named_by_flags_or_environment(dev: Dev, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    flags = satchel("media", "upload", "a.txt", "--url", dev.state["url"], "--token", dev.state["token"], cwd=tmp_path)
    named = satchel("media", "upload", "a.txt", cwd=tmp_path, SATCHEL_URL=dev.state["url"], SATCHEL_TOKEN=dev.state["token"])
    assert (flags.returncode, named.returncode) == (0, 0)
    wrong = satchel("media", "upload", "a.txt", "--url", dev.state["url"], "--token", "x", cwd=tmp_path)
    assert wrong.returncode == 4


def test_the_token_of_a_running_dev_goes_to_that_node_alone(dev: Dev, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    other = satchel("media", "upload", str(tmp_path / "a.txt"), "--url", f"http://127.0.0.1:{free_port()}", cwd=dev.folder)
    assert (other.returncode, " token new --user admin" in other.stderr) == (4, True)


def test_without_a_node_one_sentence_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    nowhere = satchel("media", "upload", "a.txt", cwd=tmp_path)
    assert (nowhere.returncode, nowhere.stderr.count("\n")) == (3, 1)
    assert "satchel dev" in nowhere.stderr
    silent = satchel("media", "upload", "a.txt", "--url", f"http://127.0.0.1:{free_port()}", "--token", "t", cwd=tmp_path)
    assert (silent.returncode, silent.stderr.count("\n")) == (8, 1)


def test_a_refusal_is_one_sentence(dev: Dev) -> None:
    (dev.folder / "empty").write_bytes(b"")
    refused = satchel("media", "upload", "empty", cwd=dev.folder)
    assert (refused.returncode, refused.stderr.count("\n")) == (6, 1)
    assert "empty" in refused.stderr
    (dev.folder / "bill.txt").write_text("x")
    wrong = satchel("send", "document", "--to", "12", "bill.txt", cwd=dev.folder)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (6, 1)


def test_a_phone_that_has_nothing_is_shown_as_json_or_not_at_all(dev: Dev) -> None:
    nothing = satchel("sandbox", "phone", "show", "12025550199", cwd=dev.folder)
    assert (nothing.returncode, nothing.stdout) == (0, "")
    shown = satchel("sandbox", "phone", "show", "12025550199", "--json", cwd=dev.folder)
    assert json.loads(shown.stdout) == {"view": 1, "blocks": []}
    wrong = satchel("sandbox", "phone", "show", "12", cwd=dev.folder)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)


def test_the_node_is_no_sandbox(dev: Dev) -> None:
    for command in (("phone", "show", "12025550199"), ("status",)):
        mixed_up = satchel("sandbox", *command, "--url", dev.url, cwd=dev.folder)
        assert (mixed_up.returncode, f"What answers at {dev.url} is no sandbox" in mixed_up.stderr) == (8, True)


def test_a_wait_in_vain_is_exit_9(dev: Dev) -> None:
    vain = satchel("sandbox", "phone", "show", "12025550198", "--wait", "100ms", cwd=dev.folder)
    assert (vain.returncode, vain.stdout, vain.stderr.count("\n")) == (9, "", 1)
    assert "12025550198 received nothing within 100ms" in vain.stderr
    told = satchel("sandbox", "phone", "show", "12025550198", "--wait", "100ms", "--json", cwd=dev.folder)
    assert (told.returncode, json.loads(told.stdout), json.loads(told.stderr)["errors"][0]["code"]) == (9, {"view": 1, "blocks": []}, 1000)


def test_after_a_message_only_later_ones_are_shown_and_waited_for(dev: Dev) -> None:
    (dev.folder / "bill.txt").write_text("x")
    phone = ("sandbox", "phone", "show", "12025550197")

    def send() -> str:
        return satchel("send", "document", "--to", "12025550197", "bill.txt", cwd=dev.folder).stdout.strip()

    first = send()
    assert satchel(*phone, "--wait", "10s", "--quiet", cwd=dev.folder).stdout.split() == [first]
    vain = satchel(*phone, "--after", first, "--wait", "100ms", cwd=dev.folder)
    assert (vain.returncode, vain.stdout) == (9, "")
    assert f"12025550197 received nothing after {first} within 100ms" in vain.stderr
    second = send()
    assert satchel(*phone, "--after", first, "--wait", "10s", "--quiet", cwd=dev.folder).stdout.split() == [second]
    drawn = satchel(*phone, "--after", first, cwd=dev.folder).stdout
    assert (first in drawn, second in drawn, " 2 unread messages " in drawn, "[TXT] bill.txt" in drawn) == (False, True, False, True)
    blocks = json.loads(satchel(*phone, "--after", first, "--json", cwd=dev.folder).stdout)["blocks"]
    assert [block.get("id", block["kind"]) for block in blocks] == ["date", second]
    unknown = satchel(*phone, "--after", "nothing", cwd=dev.folder)
    assert (unknown.returncode, unknown.stderr.count("\n"), "no message 'nothing'" in unknown.stderr) == (5, 1, True)


@pytest.mark.parametrize(
    ("state", "lacks"), [("downloading", True), ("not_downloaded", False), ("downloaded", False), ("unavailable", False)]
)
def test_what_a_wait_lacks_is_media_on_its_way(state: str, lacks: bool) -> None:
    assert bool(sandbox_show.lacking("1", [{"id": "a", "media": {"state": state}}])) == lacks
    assert not sandbox_show.lacking("1", [{"id": "a", "media": None}])


def test_ctrl_c_ends_a_receiver_with_130(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*SATCHEL, "webhook", "serve", "--port", "0"], cwd=tmp_path, env=environment(), stderr=log)
    eventually(lambda: "Waiting" in (tmp_path / "log").read_text(), 15, (tmp_path / "log").read_text)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert "interrupted" in (tmp_path / "log").read_text()


def test_migrate_says_what_it_did(tmp_path: Path) -> None:
    first = satchel("migrate", "--data-dir", "data", cwd=tmp_path)
    assert (first.returncode, first.stdout) == (0, "".join(f"applied {migration.name}\n" for migration in schema.migrations()))
    assert satchel("migrate", "--data-dir", "data", cwd=tmp_path).stdout == "the schema is up to date\n"


def test_serve_keeps_a_generated_password_in_a_private_file_and_out_of_the_log(tmp_path: Path) -> None:
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        command = [*SATCHEL, "serve", "--role", "web", "--bind", f"127.0.0.1:{port}", "--data-dir", "data"]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=log)
    path = tmp_path / "data" / "admin-password"
    eventually(path.exists, 15, (tmp_path / "log").read_text)
    password = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    url = f"http://127.0.0.1:{port}/v1/users/login"
    eventually(lambda: httpx2.post(url, auth=("admin", password), trust_env=False).status_code == 200, 15, (tmp_path / "log").read_text)
    process.terminate()
    assert process.wait(20) == 0
    assert password not in (tmp_path / "log").read_text()
    assert str(path) in (tmp_path / "log").read_text()


def test_serve_says_that_it_serves_once_it_has_its_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        done = satchel("serve", "--bind", bind, cwd=tmp_path)
    assert (done.returncode, f"Cannot listen on {bind}" in done.stderr, '"serving"' in done.stderr) == (3, True, False)


def test_serve_refuses_a_folder_in_use_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    done = satchel("serve", "--bind", f"127.0.0.1:{free_port()}", cwd=tmp_path, SATCHEL_VOLUME__PATH=str(tmp_path))
    assert (done.returncode, "holds files" in done.stderr) == (3, True)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
    assert '"event": "serving"' in done.stderr.replace('":"', '": "')


def test_a_picture_with_the_type_that_curl_makes_up_goes_out_as_an_image(dev: Dev, photo: Path) -> None:
    headers = {"Authorization": f"Bearer {dev.state['token']}", "Content-Type": "application/x-www-form-urlencoded"}
    up = httpx2.post(f"{dev.state['url']}/v1/media", content=photo.read_bytes(), headers=headers, trust_env=False)
    message = {"to": "12025550177", "type": "image", "image": {"id": up.json()["media"][0]["id"]}}
    sent = httpx2.post(
        f"{dev.state['url']}/v1/messages", json=message, headers={"Authorization": headers["Authorization"]}, trust_env=False
    )
    assert (up.status_code, sent.status_code) == (201, 201)
    shown = satchel("sandbox", "phone", "show", "12025550177", "--wait", "10s", cwd=dev.folder)
    assert (shown.returncode, "image/jpeg" in shown.stdout, "downloaded" in shown.stdout) == (0, True, True)


def test_serve_refuses_a_weak_password_and_an_unknown_setting(tmp_path: Path) -> None:
    weak = satchel("serve", "--role", "core", "--data-dir", "data", cwd=tmp_path, SATCHEL_ADMIN_PASSWORD="secret")
    assert (weak.returncode, "8 to 64 characters" in weak.stderr) == (3, True)
    unknown = satchel("serve", "--role", "core", cwd=tmp_path, SATCHEL_VOLUM__PATH="/x")
    assert (unknown.returncode, "SATCHEL_VOLUME__PATH" in unknown.stderr) == (3, True)


def test_a_refusal_in_the_middle_of_an_upload_is_told(dev: Dev) -> None:
    with (dev.folder / "large").open("wb") as file:
        file.truncate(101 << 20)
    refused = satchel("media", "upload", "large", cwd=dev.folder)
    assert (refused.returncode, refused.stderr.count("\n")) == (6, 1)
    assert "limit of 100 MiB" in refused.stderr
