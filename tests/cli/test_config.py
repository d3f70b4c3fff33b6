"""`satchel config`: every value with its origin, no secret, and a verdict."""

import json
from pathlib import Path

from satchel import settings

from .dev import satchel

HIDDEN = {
    "SATCHEL_DATABASE__KIND": "postgres",
    "SATCHEL_DATABASE__URL": "postgresql://satchel:hidden-1@db/satchel",
    "WA_API_KEY": "hidden-2-hidden-2",
    "SATCHEL_WEBAPP__TOKEN_KEY": "hidden-3" * 8,
    "SATCHEL_UPSTREAM__SECRET": "hidden-4",
}


def test_show_says_all_and_where_it_comes_from_but_no_secret(tmp_path: Path) -> None:
    (tmp_path / "satchel.toml").write_text("[coreapp]\nlease_ttl = 7\n")
    plain = satchel("config", "show", "--origin", cwd=tmp_path, **HIDDEN)
    found = json.loads(satchel("config", "show", "--json", cwd=tmp_path, **HIDDEN).stdout)
    assert (plain.returncode, plain.stderr) == (0, "")
    assert list(found) == settings.names()
    assert found["coreapp.lease_ttl"] == {"value": 7.0, "origin": "satchel.toml"}
    assert found["webapp.api_key"] == {"value": "set", "origin": "WA_API_KEY"}
    assert found["volume.max_upload"] == {"value": "100 MiB", "origin": "default"}
    assert "hidden" not in plain.stdout + json.dumps(found)
    assert found["volume.path"] == {"value": str(tmp_path / ".satchel" / "media"), "origin": "default"}
    bare = json.loads(satchel("config", "show", "--json", cwd=tmp_path).stdout)
    assert {bare[name]["value"] for name in settings.secrets()} == {"unset"}
    assert all(len(line.split()) > 1 for line in satchel("config", "show", cwd=tmp_path).stdout.splitlines())
    assert [line.split()[0] for line in plain.stdout.splitlines()] == settings.names()
    assert "satchel.toml" in next(line for line in plain.stdout.splitlines() if line.startswith("coreapp.lease_ttl"))


def test_both_take_the_data_directory(tmp_path: Path) -> None:
    for command in ("show", "check"):
        assert satchel("config", command, "--data-dir", "elsewhere", cwd=tmp_path).returncode == 0


def test_secrets_are_those_that_the_docs_never_show() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/settings.md").read_text(encoding="utf-8")
    hidden = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `") and "never shown" in line}
    assert settings.secrets() == hidden


def test_check_is_0_with_what_was_read_or_3_with_a_sentence(tmp_path: Path) -> None:
    good = satchel("config", "check", cwd=tmp_path, WA_MASTER_NODE="1", SATCHEL_COREAPP__LEASE_TTL="7")
    assert (good.returncode, "Set: 1." in good.stdout, "WA_MASTER_NODE" in good.stderr) == (0, True, True)
    strange = satchel("config", "check", cwd=tmp_path, WA_DB_HOSTNAM="db", WA_FLEET="7", WA_EMPTY="", SATCHEL_UPSTREAM__SECRET="s")
    assert (strange.returncode, strange.stderr.count("\n")) == (0, 1)
    assert "WA_DB_HOSTNAM (did you mean WA_DB_HOSTNAME?), WA_FLEET." in strange.stderr
    assert list(tmp_path.iterdir()) == []
    for bad in (
        {"SATCHEL_COREAPP__LEASE_TTL": "soon"},
        {"WA_DB_ENGINE": "MYSQL"},
        {"WA_DB_ENGINE": "PGSQL"},
        {"WA_DB_HOSTNAME": "hidden"},
        {"SATCHEL_DATABASE__URL": "postgresql://hidden"},
        {"SATCHEL_UPSTREAM__URL": "ftp://hidden"},
        {"SATCHEL_DATABASE__KIND": "postgres", "SATCHEL_DATABASE__URL": "hidden hidden"},
        {"SATCHEL_WEBAPP__TLS_CERTIFICATE": "a.pem", "SATCHEL_WEBAPP__TLS_KEY": "b.pem"},
        {"WA_WEB_JWT_CRYPTO_KEY": "hidden"},
    ):
        found = satchel("config", "check", cwd=tmp_path, **bad)
        assert (found.returncode, found.stdout, found.stderr.count("\n")) == (3, "", 1), bad
        assert "hidden" not in found.stderr


def test_check_says_what_has_no_effect_and_what_is_lacking(tmp_path: Path) -> None:
    found = satchel("config", "check", cwd=tmp_path, SATCHEL_ADMIN_PASSWROD="x")
    assert found.returncode == 0
    assert "did you mean SATCHEL_ADMIN_PASSWORD?" in found.stderr
    assert "upstream.secret is not set, so satchel serve can send nothing" in found.stderr
