"""`satchel dev`: starts everything, finds out early what is in the way, and leaves nothing behind."""

import asyncio
import json
import os
import re
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from satchel import build
from satchel.cli import dev as dev_command
from satchel.cli import doctor, say
from satchel.db import schema
from satchel.flows import access
from satchel.settings import Given, load

from ..journeys.running import Hook, eventually, free_port
from .dev import Dev, environment, satchel


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    dev = Dev(tmp_path)
    yield dev
    dev.stop()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def login(dev: Dev, password: str) -> int:
    return httpx2.post(f"http://127.0.0.1:{dev.port}/v1/users/login", auth=("admin", password), trust_env=False).status_code


def test_ready_means_all_three_and_the_banner_helps_on(dev: Dev, photo: Path) -> None:
    output = dev.output()
    for shown in (f"127.0.0.1:{dev.port}/v1", f"127.0.0.1:{dev.sandbox_port}", "12025550111", "12025550112", "curl"):
        assert shown in output
    password = re.search(r"admin / (\S+)", output)
    assert password is not None
    assert login(dev, password[1]) == 200
    sent = satchel("send", "image", "--to", "12025550111", "--caption", "Hello", str(photo), cwd=dev.folder)
    assert (sent.returncode, sent.stderr) == (0, "")
    httpx2.get(f"{dev.state['sandbox_url']}/sandbox/phones/12025550111/messages", params={"wait": "10s"}, trust_env=False)
    shown = satchel("sandbox", "phone", "show", "12025550111", cwd=dev.folder).stdout
    assert "Hello" in shown
    assert "downloaded" in shown
    assert sent.stdout.strip() in shown


def test_the_state_file_is_private_and_goes_at_the_end(dev: Dev) -> None:
    path = dev.folder / ".satchel" / "dev.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert set(dev.state) == {"url", "sandbox_url", "pid", "token", "upstream_secret"}
    assert stat.S_IMODE((dev.folder / ".satchel" / "satchel.db").stat().st_mode) == 0o600
    assert dev.stop() == 0
    assert not path.exists()


def test_a_second_start_keeps_the_data_and_the_password(dev: Dev, tmp_path: Path) -> None:
    password = re.search(r"admin / (\S+)", dev.output())
    assert password is not None
    dev.stop()
    again = Dev(tmp_path)
    assert login(again, password[1]) == 200
    assert "shown at the first start" in again.output()
    forgotten = re.search(r"\(forgotten\? (.+)\)", again.output())
    assert forgotten is not None
    made = subprocess.run(forgotten[1], shell=True, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=True)
    assert login(again, made.stdout.strip()) == 200
    again.stop()


def test_a_folder_in_use_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    refused = satchel("dev", "--port", str(free_port()), cwd=tmp_path, SATCHEL_VOLUME__PATH=str(tmp_path))
    assert (refused.returncode, "set SATCHEL_VOLUME__PATH to an empty folder" in refused.stderr) == (3, True)
    assert not (tmp_path / ".satchel" / "satchel.db").exists()


def test_a_given_password_counts_at_every_start_and_a_weak_one_is_refused(dev: Dev, tmp_path: Path) -> None:
    dev.stop()
    again = Dev(tmp_path, SATCHEL_ADMIN_PASSWORD="Quay-Lantern-42")
    assert login(again, "Quay-Lantern-42") == 200
    again.stop()
    weak = satchel("dev", "--port", str(dev.port), cwd=tmp_path, SATCHEL_ADMIN_PASSWORD="weak")
    assert weak.returncode == 3
    assert "8 to 64 characters" in weak.stderr
    assert "weak" not in weak.stderr


@pytest.mark.parametrize("given", [None, Given("Quay-Lantern-42", in_file=False), Given("Quay-Lantern-42", in_file=True)])
def test_the_banner_fits_a_terminal(given: Given | None) -> None:
    options = dev_command.Options(65533, 65534, Path("/home/somebody/satchel/.satchel"), "")
    for started in (dev_command.Started("token", given, None, None), dev_command.Started("token", given, "Quay-Lantern-42-x", None)):
        shown = dev_command.banner(options, started, 45.5 * 86_400).replace(
            say.command(), "satchel"
        )  # how long a path leads to it is not ours to say
        assert [line for line in shown.splitlines() if len(line) > 100] == []


def test_every_line_of_the_log_in_a_file_is_json_and_all_else_the_banner(dev: Dev, photo: Path) -> None:
    satchel("send", "image", "--to", "12025550111", str(photo), cwd=dev.folder)
    httpx2.get(f"{dev.state['sandbox_url']}/sandbox/phones/12025550111/messages", params={"wait": "10s"}, trust_env=False)
    dev.stop()
    lines = dev.output().splitlines()
    other = [line for line in lines if line and not line.startswith("  ") and "everything is kept in" not in line]
    said = [json.loads(line) for line in other]
    assert {"sandbox", "sandbox.network"} <= {line.get("logger") for line in said}
    assert all({"event", "level", "timestamp"} <= set(line) for line in said)


def test_the_banner_says_where_a_given_password_stands(tmp_path: Path) -> None:
    options = dev_command.Options(1, 2, tmp_path, "")
    shown = [
        dev_command.banner(options, dev_command.Started("token", given, None, None))
        for given in (Given("Quay-Lantern-42", in_file=False), Given("Quay-Lantern-42", in_file=True))
    ]
    assert 'admin:"$SATCHEL_ADMIN_PASSWORD" ' in shown[0]
    assert 'admin:"$(cat "$SATCHEL_ADMIN_PASSWORD_FILE")" ' in shown[1]
    assert "Quay" not in "".join(shown)


def test_a_password_that_no_banner_has_shown_is_shown_by_the_next_start(tmp_path: Path) -> None:
    broken = satchel("dev", "--port", free(), "--webhook", "nonsense", cwd=tmp_path)
    assert broken.returncode == 3
    unshown = tmp_path / ".satchel" / "admin-password.unshown"
    unshown.write_text("Left-Over-9")  # a start that was killed before its banner: the user exists, nobody saw the password
    asyncio.run(_make_admin(tmp_path / ".satchel", "Left-Over-9"))
    dev = Dev(tmp_path)
    assert "admin / Left-Over-9 " in dev.output()
    assert login(dev, "Left-Over-9") == 200
    assert not unshown.exists()
    dev.stop()


async def _make_admin(data_dir: Path, password: str) -> None:
    db = build.database(load(data_dir, {}))
    await schema.migrate(db)
    await access.set_admin_password(db, password)
    await db.close()


def test_equal_ports_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    port = free()
    found = satchel("dev", "--port", port, "--sandbox-port", port, cwd=tmp_path)
    assert (found.returncode, found.stderr.count("\n")) == (3, 1)
    assert not (tmp_path / ".satchel").exists()


def test_webhook_sets_the_url_at_each_start(tmp_path: Path) -> None:
    (tmp_path / "bill.pdf").write_bytes(b"%PDF-1.4")
    for hook in (Hook(), Hook()):
        dev = Dev(tmp_path, "--webhook", hook.url)
        try:
            sent = satchel("send", "document", "--to", "+1 202 555 0112", str(tmp_path / "bill.pdf"), cwd=tmp_path)
            hook.wait(sent.stdout.strip(), "delivered")
        finally:
            dev.stop()
            hook.close()


@pytest.mark.parametrize("taken", ["port", "sandbox_port"])
def test_a_taken_port_is_one_sentence_and_exit_3(tmp_path: Path, taken: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        ports = {"port": free(), "sandbox_port": free(), taken: str(holder.getsockname()[1])}
        found = satchel("dev", "--port", ports["port"], "--sandbox-port", ports["sandbox_port"], cwd=tmp_path)
    assert found.returncode == 3
    assert found.stderr.count("\n") == 1
    assert ports[taken] in found.stderr


def free() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_a_second_dev_on_the_same_data_is_refused(dev: Dev, tmp_path: Path) -> None:
    found = satchel("dev", "--port", free(), cwd=tmp_path)
    assert (found.returncode, found.stderr.count("\n")) == (3, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything(dev: Dev, number: signal.Signals) -> None:
    children = dev.children()
    assert len(children) == 3
    dev.process.send_signal(number)
    assert dev.process.wait(40) == 0
    assert not any(map(alive, children))


def test_a_killed_dev_leaves_nothing_on_its_ports(dev: Dev, tmp_path: Path) -> None:
    children = dev.children()
    dev.process.kill()
    dev.process.wait()
    eventually(lambda: not any(map(alive, children)), 20, lambda: f"still alive: {[pid for pid in children if alive(pid)]}")
    for port in (dev.port, dev.sandbox_port):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    Dev(tmp_path).stop()


def test_a_stopped_dev_is_found_missing_and_a_new_one_tells_of_the_moved_clock(dev: Dev, tmp_path: Path) -> None:
    assert "days ahead" not in dev.output()
    assert satchel("sandbox", "clock", "advance", "45d", cwd=tmp_path).returncode == 0
    dev.stop()
    found = satchel("doctor", "--json", "--only", "upstream", cwd=tmp_path)
    (upstream,) = json.loads(found.stdout)["checks"]
    assert (found.returncode, upstream["level"]) == (10, "problem")
    assert "no Coreapp runs: start satchel dev, or satchel serve --role core" in upstream["text"].replace(say.command(), "satchel")
    port = doctor.stopped(tmp_path / ".satchel", f"127.0.0.1:{dev.port}")
    assert port is not None
    assert f"no node runs on {tmp_path / '.satchel'}" in port.text
    again = Dev(tmp_path)
    assert "network time is 45 days ahead" in again.output()
    again.stop()


@pytest.mark.parametrize(("index", "name"), [(0, "sandbox"), (1, "Coreapp"), (2, "Webapp")])
def test_when_one_dies_all_stop_and_it_is_named(dev: Dev, index: int, name: str) -> None:
    children = dev.children()
    os.kill(children[index], signal.SIGKILL)
    assert dev.process.wait(40) == 1
    assert re.search(rf"{name} \(process {children[index]}\) was ended by SIGKILL", dev.output())
    assert not any(map(alive, children))
