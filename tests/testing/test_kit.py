"""The test kit from outside: a pytest of its own, real processes, samples of what people write."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from satchel.client import Satchel
from satchel.testing.server import environment

from ..cli.dev import Dev
from ..cli.test_dev import alive
from ..journeys.running import eventually
from . import nested

PASSWORD = "Quay-Lantern-42"


def test_an_integration_is_tested_in_its_own_words(tmp_path: Path) -> None:
    renews = find_spec("satchel.flows.renew") is not None
    run = nested.pytest(tmp_path, "bills.py", *([] if renews else ["-k", "not late_download"]))
    assert (run.code, run.counts["passed"] + run.counts.get("skipped", 0)) == (0, 11 if renews else 10), run.output


def test_fifty_tests_on_two_workers_see_nothing_of_each_other(tmp_path: Path) -> None:
    run = nested.pytest(tmp_path, "fifty.py", "-n", "2")
    assert (run.code, run.counts) == (0, {"passed": 50}), run.output


def test_a_failed_test_says_what_came_instead_and_leaves_it_in_files(tmp_path: Path) -> None:
    run = nested.pytest(tmp_path, "failing.py", "-n", "2", "--satchel-artifacts", "left")
    assert (run.code, run.counts) == (1, {"failed": 4}), run.output
    for told in (
        "A document did not reach 12025550112 within 0.3 s.",
        "near miss: an image arrived ('The harbour', downloaded), you waited for a document.",
        "near miss: a document was sent to 12025550113, you waited at 12025550112.",
        "[image]  'The harbour'  downloaded  ✓✓",
        "image to 12025550112: failed; last step failed: Sent as image, found text/plain",
        "run of 3: an album needs 4",
        "No callback with statuses (status='sent') came within 0.5 s.",
        'near miss: {"statuses": [{"id": "gBEG',
        "sent is not announced: set webhooks.message.sent",
        "what the phones and the node saw",
        "[text]  'hello there'  delivered".replace("  delivered", "  ✓✓"),
        "done (200 in ",
    ):
        assert told in run.output, told
    left = tmp_path / "left" / "failing.py_test_another_type_came"
    timeline, shown = (json.loads((left / name).read_text()) for name in ("timeline.json", "blocks.json"))
    assert [one["state"] for one in timeline["messages"][:2]] == ["delivered", "failed"]
    assert timeline["messages"][0]["steps"][0]["step"] == "accepted"
    assert {"failed"} <= {one["json"]["statuses"][0]["status"] for one in timeline["webhooks"]}
    (phone,) = (one for one in shown["phones"] if one["number"] == "12025550112")
    assert [block["kind"] for block in phone["blocks"]] == ["date", "unread", "image"]


def test_a_test_that_passes_leaves_no_files(tmp_path: Path) -> None:
    run = nested.pytest(tmp_path, "bills.py", "-k", "webhook", "--satchel-artifacts", "left")
    assert run.counts["passed"] == 1
    assert not (tmp_path / "left").exists()


def test_without_a_fixture_nothing_is_imported(tmp_path: Path) -> None:
    run = nested.pytest(tmp_path, "light.py")
    assert (run.code, run.counts) == (0, {"passed": 1}), run.output


def test_no_process_outlives_a_killed_pytest(tmp_path: Path) -> None:
    nested.pytest(tmp_path, "killed.py")
    children = [int(pid) for pid in (tmp_path / "children").read_text().split()]
    assert len(children) == 3
    eventually(lambda: not any(map(alive, children)), 15, lambda: "they still live")


def test_a_running_node_gets_its_settings_back(tmp_path: Path) -> None:
    dev = Dev(tmp_path, "--webhook", "http://127.0.0.1:9/hook", SATCHEL_ADMIN_PASSWORD=PASSWORD)
    try:
        with Satchel(dev.url, user="admin", password=PASSWORD) as node:
            node.settings.change(webhooks={"secret": "whsec_0123456789abcdef"}, callback_persist=False)
            before = node.settings.get()
            given = ("--satchel-url", dev.url)
            where = {"SATCHEL_SANDBOX_URL": dev.state["sandbox_url"], "SATCHEL_TOKEN": dev.state["token"]}
            run = nested.pytest(tmp_path, "bills.py", "-k", "customer_writes or webhook", *given, **where)
            assert (run.code, run.counts["passed"]) == (0, 2), run.output
            assert node.settings.get() == before
            refused = nested.pytest(tmp_path, "bills.py", "-k", "webhook", "-n", "2", *given, **where)
            assert "where every test begins a new world" in refused.output
    finally:
        dev.stop()


def test_the_processes_are_those_of_the_same_search_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["src", str(tmp_path), ""]))
    assert environment(tmp_path, {}, PASSWORD)["PYTHONPATH"] == os.pathsep.join([str(Path("src").resolve()), str(tmp_path)])


def test_without_a_token_one_line_says_how_to_get_one(tmp_path: Path) -> None:
    run = nested.pytest(tmp_path, "bills.py", "--satchel-url", "http://127.0.0.1:9")
    said = "ERROR: --satchel-url needs SATCHEL_TOKEN; this makes one: satchel token new --user admin"
    assert (run.code, run.output.strip()) == (4, said)


def test_a_webhook_that_hangs_concerns_only_its_own_test(tmp_path: Path) -> None:
    run = nested.pytest(tmp_path, "hanging.py")
    assert (run.code, run.counts) == (0, {"passed": 2}), run.output


def test_a_killed_process_is_told_of_and_lives_for_the_next_test(tmp_path: Path) -> None:
    run = nested.pytest(tmp_path, "killing.py")
    assert (run.code, run.counts) == (1, {"failed": 3, "passed": 4}), run.output
    for name in ("Webapp", "Coreapp", "The simulated network"):
        assert f"A process of the node ended ({name} by signal 9); the end of " in run.output, run.output


def test_a_node_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "import pytest\n"
        "@pytest.fixture(scope='session')\n"
        "def satchel_settings():\n    return {'volume.colour': 'red'}\n"
        "def test_it(whatsapp):\n    pass\n"
    )
    run = nested.there(tmp_path, "bad.py")
    assert run.counts == {"error": 1}
    assert "A process of the node ended" in run.output
    assert "SATCHEL_VOLUME__COLOUR" in run.output
