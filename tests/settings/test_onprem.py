"""The environment of an On-Premises installation: what it becomes, what wins over it, what is said about the rest."""

from pathlib import Path

import psycopg
import pytest

from satchel.settings import Settings, SettingsError, load
from satchel.settings.onprem import IGNORED

PGSQL = {"WA_DB_ENGINE": "PGSQL", "WA_DB_HOSTNAME": "db.example"}


def loaded(tmp_path: Path, toml: str = "", **environ: str) -> Settings:
    file = tmp_path / "satchel.toml"
    file.write_text(toml, encoding="utf-8")
    return load(tmp_path / "data", environ, toml=file)


def refusal(tmp_path: Path, toml: str = "", **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, toml, **environ)
    return str(caught.value)


def parts(settings: Settings) -> dict[str, str]:
    return {name: str(value) for name, value in psycopg.conninfo.conninfo_to_dict(settings.database.url).items()}


def test_an_old_database_environment_is_a_url_that_libpq_reads_back(tmp_path: Path) -> None:
    more = {"WA_DB_PORT": "5433", "WA_DB_USERNAME": "wa user", "WA_DB_PASSWORD": "p@ss/w%rd:?#", "WA_DB_NAME_PREFIX": "waent_"}
    found = loaded(tmp_path, **PGSQL, **more)
    wanted = {"host": "db.example", "port": "5433", "user": "wa user", "password": "p@ss/w%rd:?#", "dbname": "waent_"}
    assert (found.database.kind, parts(found)) == ("postgres", wanted)
    assert found.origins["database.kind"] == "WA_DB_ENGINE"
    assert found.origins["database.url"] == "WA_DB_HOSTNAME, WA_DB_PORT, WA_DB_USERNAME, WA_DB_PASSWORD, WA_DB_NAME_PREFIX"
    assert found.notes == ()


@pytest.mark.parametrize(("host", "read"), [("db.example", "db.example"), ("::1", "::1"), ("[fe80::1]", "fe80::1"), ("/run/pg", "/run/pg")])
def test_a_host_is_a_name_an_address_or_a_socket_folder(tmp_path: Path, host: str, read: str) -> None:
    assert parts(loaded(tmp_path, WA_DB_ENGINE="PGSQL", WA_DB_HOSTNAME=host)) == {"host": read}


@pytest.mark.parametrize("name", ["WA_DB_HOSTNAME", "WA_DB_PASSWORD", "WA_DB_SSL_CA"])
def test_an_address_without_an_engine_is_refused_unless_a_name_of_ours_decides(tmp_path: Path, name: str) -> None:
    said = refusal(tmp_path, **{name: "hidden"})
    assert said.startswith(f"{name} is set and WA_DB_ENGINE is not: set WA_DB_ENGINE=PGSQL")
    assert "hidden" not in said
    assert loaded(tmp_path, **{name: "x"}, SATCHEL_DATABASE__KIND="sqlite").database.url == ""


def test_sqlite_by_a_name_of_ours_leaves_an_old_address_without_effect(tmp_path: Path) -> None:
    found = loaded(tmp_path, **PGSQL, SATCHEL_DATABASE__KIND="sqlite")
    assert (found.database.kind, found.database.url) == ("sqlite", "")
    assert "SATCHEL_DATABASE__KIND sets database.kind to sqlite; WA_DB_HOSTNAME has no effect." in found.notes


def test_certificates_of_the_database_are_checked(tmp_path: Path) -> None:
    found = loaded(tmp_path, **PGSQL, WA_DB_SSL_CA="/etc/my ca.pem", WA_DB_SSL_CERT="/c.pem", WA_DB_SSL_KEY="/k.pem")
    wanted = {"host": "db.example", "sslmode": "verify-ca", "sslrootcert": "/etc/my ca.pem", "sslcert": "/c.pem", "sslkey": "/k.pem"}
    assert parts(found) == wanted


@pytest.mark.parametrize(
    ("name", "setting"),
    [("WA_API_KEY", "webapp.api_key"), ("WA_WEB_JWT_CRYPTO_KEY", "webapp.token_key"), ("WA_DB_PASSWORD", "database.url")],
)
def test_secrets_may_come_from_files_and_not_twice(tmp_path: Path, name: str, setting: str) -> None:
    (tmp_path / "secret").write_text("s" * 32 + "\n", encoding="utf-8")
    from_file = {f"{name}_FILE": str(tmp_path / "secret"), **PGSQL}
    found = loaded(tmp_path, **from_file)
    section, field = setting.split(".")
    assert "s" * 32 in getattr(getattr(found, section), field)
    assert "s" * 32 + "\n" not in getattr(getattr(found, section), field)
    assert f"{name}_FILE" in found.origins[setting]
    said = refusal(tmp_path, **from_file, **{name: "hidden"})
    assert f"{name} and {name}_FILE" in said
    assert "hidden" not in said


def test_mysql_stops_with_what_to_do_unless_a_name_of_ours_decides(tmp_path: Path) -> None:
    said = refusal(tmp_path, WA_DB_ENGINE="MYSQL", WA_DB_HOSTNAME="db")
    assert "WA_DB_ENGINE is MYSQL" in said
    assert "PostgreSQL (15 or newer)" in said
    found = loaded(tmp_path, WA_DB_ENGINE="MYSQL", SATCHEL_DATABASE__KIND="sqlite")
    assert found.database.kind == "sqlite"
    assert found.notes == ("SATCHEL_DATABASE__KIND sets database.kind; WA_DB_ENGINE has no effect.",)


def test_a_name_of_ours_wins_and_says_so(tmp_path: Path) -> None:
    ours = {"SATCHEL_DATABASE__URL": "postgresql://one.example/x", "SATCHEL_WEBAPP__API_KEY": "ours-of-twelve"}
    found = loaded(tmp_path, **PGSQL, **ours, WA_API_KEY="theirs-of-twelve")
    assert (found.database.url, found.webapp.api_key) == ("postgresql://one.example/x", "ours-of-twelve")
    assert "SATCHEL_DATABASE__URL sets database.url; WA_DB_HOSTNAME has no effect." in found.notes
    assert "SATCHEL_WEBAPP__API_KEY sets webapp.api_key; WA_API_KEY has no effect." in found.notes
    assert "theirs" not in repr(found)


def test_an_old_name_counts_before_the_file(tmp_path: Path) -> None:
    found = loaded(tmp_path, '[webapp]\napi_key = "from-the-file"\n', WA_API_KEY="from-the-environment")
    assert (found.webapp.api_key, found.origins["webapp.api_key"]) == ("from-the-environment", "WA_API_KEY")


@pytest.mark.parametrize("name", ["WA_WEB_JWT_CRYPTO_KEY", "SATCHEL_WEBAPP__TOKEN_KEY"])
def test_a_short_token_key_is_told_with_the_rule_and_its_place_and_not_said(tmp_path: Path, name: str) -> None:
    said = refusal(tmp_path, **{name: "hidden"})
    assert "at least 32 characters" in said
    assert name in said
    assert "hidden" not in said


def test_what_is_not_needed_is_one_note(tmp_path: Path) -> None:
    found = loaded(tmp_path, **dict.fromkeys(IGNORED, "1"))
    assert found.origins == {}
    assert found.notes == (f"Not needed here and ignored: {', '.join(IGNORED)}.",)
    assert loaded(tmp_path, **dict.fromkeys(IGNORED, "")).notes == ()


def test_names_that_nobody_knows_are_told_and_no_note_of_a_start(tmp_path: Path) -> None:
    found = loaded(tmp_path, WA_DB_PASWORD="hidden", WA_OTHER="hidden", **dict.fromkeys(IGNORED, "1"))
    assert "WA_DB_PASWORD (did you mean WA_DB_PASSWORD?), WA_OTHER." in found.unknown
    assert "hidden" not in found.unknown
    assert len(found.notes) == 1
    assert loaded(tmp_path, WAX="1", **dict.fromkeys(IGNORED, "1")).unknown == ""
