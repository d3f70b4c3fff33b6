"""What was sent, seen from the command line."""

import json
import signal
import subprocess
from collections.abc import Iterator

import pytest

from ..conftest import PHOTO
from .dev import SATCHEL, Dev, environment, satchel

READS, AWAY, UNKNOWN, USUAL = "12025550101", "12025550102", "12025550103", "12025550115"


def sent(dev: Dev, to: str, *more: str) -> subprocess.CompletedProcess[str]:
    return satchel("send", "text", "--to", to, "The ferry leaves at nine", *more, cwd=dev.folder)


@pytest.fixture(scope="module")
def failed(dev: Dev) -> str:
    """A message that ended failed."""
    ended = sent(dev, UNKNOWN, "--wait", "sent")
    assert ended.returncode == 6, ended
    return ended.stdout.strip()


@pytest.fixture
def followed(dev: Dev) -> Iterator[subprocess.Popen[str]]:
    """Follows a message that nobody will ever read."""
    message = sent(dev, AWAY).stdout.strip()
    command = [*SATCHEL, "message", "show", message, "--follow"]
    process = subprocess.Popen(command, cwd=dev.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate(timeout=20)


def test_a_wait_ends_when_it_has_come_so_far(dev: Dev) -> None:
    photo = satchel("send", "image", "--to", READS, str(PHOTO), "--wait", "read", "--json", cwd=dev.folder)
    assert (photo.returncode, photo.stderr) == (0, "")
    told = json.loads(photo.stdout)["message"]
    assert told["state"] == "read"
    steps = json.loads(satchel("message", "show", told["id"], "--json", cwd=dev.folder).stdout)["steps"]
    names = [step["step"] for step in steps]
    assert (names[0], names[-3:]) == ("accepted", ["sent", "delivered", "read"])
    assert {"uploaded", "dispatched"} <= set(names)


def test_a_wait_in_vain_is_exit_9_and_leaves_the_id(dev: Dev) -> None:
    vain = sent(dev, AWAY, "--wait", "delivered", "--timeout", "1s")
    assert (vain.returncode, vain.stderr.count("\n")) == (9, 1)
    assert "was not delivered within 1s" in vain.stderr
    assert satchel("message", "show", vain.stdout.strip(), cwd=dev.folder).returncode == 0
    both = sent(dev, AWAY, "--wait", "delivered", "--timeout", "1s", "--json")
    assert (both.returncode, json.loads(both.stdout)["message"]["state"]) == (9, "sent")
    assert "was not delivered" in json.loads(both.stderr)["errors"][0]["details"]


def test_a_wait_for_one_that_fails_is_exit_6_with_the_reason(dev: Dev) -> None:
    ended = sent(dev, UNKNOWN, "--wait", "read", "--json")
    assert (ended.returncode, json.loads(ended.stdout)["message"]["state"]) == (6, "failed")
    assert json.loads(ended.stderr)["errors"][0]["code"] == 1013


def test_one_that_does_not_get_away_says_why_or_behind_which_it_waits(dev: Dev) -> None:
    number = "12025550117"
    satchel("sandbox", "chaos", "set", "dispatch", "--fail", "1", cwd=dev.folder)
    try:
        first = sent(dev, number, "--wait", "sent", "--timeout", "2s")
        second = sent(dev, number, "--wait", "sent", "--timeout", "1s")
        shown = satchel("message", "show", first.stdout.strip(), cwd=dev.folder).stdout.splitlines()
    finally:
        satchel("sandbox", "chaos", "off", cwd=dev.folder)
    assert (first.returncode, "it is waiting. Last: " in first.stderr) == (9, True)
    assert (second.returncode, f"It waits behind {first.stdout.strip()}." in second.stderr) == (9, True)
    assert shown[1].startswith("  Last: ")


def test_a_wrong_time_is_wrong_usage_and_nothing_is_sent(dev: Dev) -> None:
    wrong = sent(dev, USUAL, "--wait", "sent", "--timeout", "soon")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert satchel("message", "ls", "--to", USUAL, "--quiet", cwd=dev.folder).stdout == ""


def test_messages_are_listed(dev: Dev, failed: str) -> None:
    ids = [sent(dev, "12025550116").stdout.strip() for _ in range(3)]
    few = satchel("message", "ls", "--to", "+1 202-555-0116", "--limit", "2", "--quiet", cwd=dev.folder)
    assert (few.returncode, few.stdout.split(), few.stderr) == (0, ids[:0:-1], "")
    assert "There are more" in satchel("message", "ls", "--to", "12025550116", "--limit", "2", cwd=dev.folder).stderr
    shown = satchel("message", "ls", "--failed", "--to", UNKNOWN, cwd=dev.folder).stdout
    assert failed in shown
    assert "1013: " in shown
    told = json.loads(satchel("message", "ls", "--failed", "--json", cwd=dev.folder).stdout)["messages"]
    assert failed in [one["id"] for one in told]
    assert {one["state"] for one in told} == {"failed"}
    wrong = satchel("message", "ls", "--to", "12", cwd=dev.folder)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)


def test_a_message_is_shown_with_a_line_a_step(dev: Dev, failed: str) -> None:
    lines = satchel("message", "show", failed, cwd=dev.folder).stdout.splitlines()
    assert lines[0].startswith(failed)
    assert "accepted" in lines[1]
    assert any(" x failed " in line for line in lines)
    assert "callback failed" in lines[-1]
    gone = satchel("message", "show", "gBEGnothing", cwd=dev.folder)
    assert (gone.returncode, gone.stderr.count("\n")) == (5, 1)


def test_a_failed_message_is_tried_again_under_its_id(dev: Dev) -> None:
    message = sent(dev, UNKNOWN, "--wait", "sent").stdout.strip()
    again = satchel("message", "retry", message, cwd=dev.folder)
    assert (again.returncode, again.stdout.strip()) == (0, message)
    followed = satchel("message", "show", message, "--follow", "--json", cwd=dev.folder)
    steps = [json.loads(line) for line in followed.stdout.splitlines()]
    assert [step["step"] for step in steps].count("accepted") == 2
    assert (followed.returncode, steps[-1]["step"]) == (0, "failed")
    arrived = sent(dev, USUAL, "--wait", "delivered").stdout.strip()
    refused = satchel("message", "retry", arrived, cwd=dev.folder)
    assert (refused.returncode, refused.stderr.count("\n")) == (6, 1)


def test_following_goes_on_until_ctrl_c(followed: subprocess.Popen[str]) -> None:
    assert followed.stdout is not None
    while " sent " not in (line := followed.stdout.readline()):
        assert line, "it ended"
    followed.send_signal(signal.SIGINT)
    assert followed.wait(20) == 130


def test_following_ends_when_the_message_is_read(dev: Dev) -> None:
    message = sent(dev, READS).stdout.strip()
    followed = satchel("message", "show", message, "--follow", cwd=dev.folder)
    assert (followed.returncode, " read " in followed.stdout.splitlines()[-1]) == (0, True)
