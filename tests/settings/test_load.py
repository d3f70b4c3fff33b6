"""Where a setting comes from, which source wins, and what is said about one that cannot be used."""

from pathlib import Path
from typing import Any

import pytest

from satchel import settings
from satchel.settings import Settings, SettingsError, load

TTL = "SATCHEL_COREAPP__LEASE_TTL"


def loaded(tmp_path: Path, toml: str = "", **environ: str) -> Settings:
    file = tmp_path / "satchel.toml"
    file.write_text(toml, encoding="utf-8")
    return load(tmp_path / "data", environ, toml=file)


def refusal(tmp_path: Path, toml: str = "", **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, toml, **environ)
    return str(caught.value)


# Precedence and origins


def test_with_nothing_set_everything_has_its_default_and_no_origin(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    assert (found.database.kind, found.coreapp.lease_ttl, found.upstream.url) == ("sqlite", 30.0, "http://127.0.0.1:9091")
    assert found.origins == {}


def test_no_file_is_no_error(tmp_path: Path) -> None:
    assert load(tmp_path, {}, toml=tmp_path / "none.toml").origins == {}


def test_environment_wins_over_toml_and_toml_over_the_default(tmp_path: Path) -> None:
    toml = '[coreapp]\nlease_ttl = 7\n[upstream]\nnumber = "4915100000000"\n'
    found = loaded(tmp_path, toml, **{TTL: "2.5"})
    assert (found.coreapp.lease_ttl, found.upstream.number, found.upstream.kind) == (2.5, "4915100000000", "sandbox")
    assert found.origins == {"coreapp.lease_ttl": TTL, "upstream.number": str(tmp_path / "satchel.toml")}


SAMPLES = {
    "egress.allow": "10.0.0.0/8, fd00::1",
    "egress.nat64": "2001:db8:64::/96",
    "webapp.api_key": "twelve-or-more",
    "webapp.token_key": "k" * 32,
    "webapp.rate_limits": "true",
    "retention.unused_for": "60d",
    "retention.directions": "up, link",
    "retention.kinds": "video",
    "retention.classes": "A,B,D",
    "webapp.trusted_proxies": "127.0.0.1",
    "volume.told_path": "/mnt/wa/media",
    "volume.wait_for_room": "5m",
}
PAIRS = {
    "webapp.tls_certificate": ("webapp.tls_key", "other.pem"),
    "webapp.tls_key": ("webapp.tls_certificate", "other.pem"),
    "database.url": ("database.kind", "postgres"),
}


@pytest.mark.parametrize("name", settings.names())
def test_every_setting_has_a_variable_that_is_read_back_to_its_name(tmp_path: Path, name: str) -> None:
    section, field = name.split(".")
    default = getattr(settings.SECTIONS[section](), field)
    given = {settings.variable(name): SAMPLES.get(name) or str(default or 5)}
    pair = {settings.variable(other): value for other, value in [PAIRS[name]]} if name in PAIRS else {}
    assert loaded(tmp_path, **given, **pair).origins[name] == settings.variable(name)


def test_the_data_directory_is_absolute_and_holds_the_volume_unless_a_path_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = load(Path("here"), {}, toml=Path("none.toml"))
    assert found.data_dir == tmp_path / "here"
    assert found.volume_path == tmp_path / "here" / "media"
    elsewhere = loaded(tmp_path, SATCHEL_VOLUME__PATH="/srv/media")
    assert elsewhere.volume_path == Path("/srv/media")


def test_a_tilde_in_a_path_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert loaded(tmp_path, SATCHEL_VOLUME__PATH="~/media").volume.path == Path("/home/somebody/media")


# Secrets


def test_a_file_variable_gives_the_files_content_without_the_line_feed_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("quay\n", encoding="utf-8")
    found = loaded(tmp_path, SATCHEL_UPSTREAM__SECRET_FILE=str(tmp_path / "secret"))
    assert found.upstream.secret == "quay"
    assert found.origins == {"upstream.secret": "SATCHEL_UPSTREAM__SECRET_FILE"}


@pytest.mark.parametrize("bad", ["absent", "folder", "binary"])
def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path, bad: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    said = refusal(tmp_path, SATCHEL_DATABASE__URL_FILE=str(tmp_path / bad))
    assert "SATCHEL_DATABASE__URL_FILE" in said
    assert str(tmp_path / bad) in said


def test_a_file_variable_of_a_setting_that_is_none_is_refused(tmp_path: Path) -> None:
    assert "database.uri_file" in refusal(tmp_path, SATCHEL_DATABASE__URI_FILE="/nowhere")


def test_secrets_are_in_no_repr(tmp_path: Path) -> None:
    url = "postgresql://satchel:hidden-one@db/satchel"
    found = loaded(tmp_path, SATCHEL_DATABASE__KIND="postgres", SATCHEL_DATABASE__URL=url, SATCHEL_UPSTREAM__SECRET="hidden-two")
    assert (found.database.url, found.upstream.secret) == (url, "hidden-two")
    for shown in (repr(found), str(found), f"{found.database}", repr(found.upstream)):
        assert "hidden" not in shown


def test_a_refused_value_of_a_secret_is_not_said(tmp_path: Path) -> None:
    said = refusal(tmp_path, "[upstream]\nsecret = 123454321\n")
    assert "upstream.secret" in said
    assert "123454321" not in said


# Names nobody knows


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("SATCHEL_DATABASE__KINDS", "database.kind (SATCHEL_DATABASE__KIND)"),
        ("SATCHEL_DATABSE__URL", "database.url (SATCHEL_DATABASE__URL)"),
        ("SATCHEL_COREAPP__LEASETTL", "coreapp.lease_ttl (SATCHEL_COREAPP__LEASE_TTL)"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_name(tmp_path: Path, variable: str, hint: str) -> None:
    said = refusal(tmp_path, **{variable: "x"})
    assert said.startswith(f"{variable} sets ")
    assert f"Did you mean {hint}?" in said


@pytest.mark.parametrize(
    ("toml", "name", "hint"),
    [
        ('[database]\nknid = "sqlite"\n', "database.knid", "database.kind"),
        ('[databse]\nkind = "sqlite"\n', "databse.kind", "database.kind"),
        ('upstream_url = "http://127.0.0.1:1"\n', "upstream_url", "upstream.url"),
    ],
)
def test_an_unknown_toml_key_is_refused_with_the_nearest_name(tmp_path: Path, toml: str, name: str, hint: str) -> None:
    said = refusal(tmp_path, toml)
    assert said.startswith(f"{tmp_path / 'satchel.toml'} sets {name}, which is no setting.")
    assert f"Did you mean {hint} " in said


@pytest.mark.parametrize("toml", ["database = 3\n", "coreapp = []\n", "[[volume]]\npath = '/x'\n", "[zzzzzzzz]\nqqqq = 1\n"])
def test_a_toml_key_that_is_no_section_is_refused(tmp_path: Path, toml: str) -> None:
    assert "which is no setting" in refusal(tmp_path, toml)


def test_no_nearest_name_is_made_up(tmp_path: Path) -> None:
    assert "Did you mean" not in refusal(tmp_path, SATCHEL_ZZZZ__QQQQ="1")


def test_single_word_names_and_other_peoples_are_no_settings(tmp_path: Path) -> None:
    others = {"SATCHEL_URL": "x", "SATCHEL_ADMIN_PASSWORD": "x", "SATCHEL_SANDBOX_SECRET": "x", "OTHER_DATABASE__KIND": "x", "PATH": "x"}
    assert loaded(tmp_path, **others).origins == {}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("SATCHEL_VOLUMEPATH", "SATCHEL_VOLUME__PATH"),
        ("SATCHEL_VOLUM_PATH", "SATCHEL_VOLUME__PATH"),
        ("SATCHEL_ADMIN_PASSWROD", "SATCHEL_ADMIN_PASSWORD"),
        ("SATCHEL_ADMINPASSWORD_FILE", "SATCHEL_ADMIN_PASSWORD_FILE"),
        ("SATCHEL_SANDBOX_SECRET_FILE", "SATCHEL_SANDBOX_SECRET"),
        ("SATCHEL_UPSTREAM_SECRET_FILE", "SATCHEL_UPSTREAM__SECRET_FILE"),
        ("SATCHEL_TOKN", "SATCHEL_TOKEN"),
    ],
)
def test_a_single_word_that_is_nearly_one_of_ours_is_said(tmp_path: Path, given: str, meant: str) -> None:
    assert loaded(tmp_path, **{given: "hidden"}).notes == (f"{given} has no effect, nobody reads that name: did you mean {meant}?",)
    assert loaded(tmp_path, **{given: ""}).notes == ()


def test_what_an_orchestrator_sets_for_a_service_of_our_name_is_not_said(tmp_path: Path) -> None:
    ends = ("PORT", "SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT_9090_TCP", "PORT_9090_TCP_ADDR", "PORT_9090_TCP_PROTO")
    theirs = {f"SATCHEL_{of}{end}": "10.0.0.1" for of in ("", "SANDBOX_", "UPSTREAM_", "WEBAPP_", "COREAPP_", "DATABASE_") for end in ends}
    known = dict.fromkeys(("SATCHEL_ADMIN_PASSWORD_FILE", "SATCHEL_CA", "SATCHEL_SANDBOX_URL", "SATCHEL_LISTENER_FD"), "x")
    assert loaded(tmp_path, **theirs, **known).notes == ()


def test_without_a_secret_a_start_says_that_nothing_can_be_sent(tmp_path: Path) -> None:
    assert loaded(tmp_path).remarks == (settings.NO_SECRET,)
    assert loaded(tmp_path, SATCHEL_UPSTREAM__SECRET="quay").remarks == ()


# Values that do not fit


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (TTL, "soon"),
        ("SATCHEL_DATABASE__KIND", "mysql"),
        ("SATCHEL_POSTPROCESS__CHILDREN", "2.5"),
    ],
)
def test_a_variable_that_does_not_fit_is_named(tmp_path: Path, variable: str, value: str) -> None:
    assert refusal(tmp_path, **{variable: value}).startswith(f"{variable} sets ")


@pytest.mark.parametrize(
    ("variable", "allowed"),
    [
        ("SATCHEL_DATABASE__KIND", "sqlite, postgres"),
        ("SATCHEL_WEBAPP__CREATED", "200, 201"),
        ("SATCHEL_POSTPROCESS__VIDEO", "off, refuse, repair"),
    ],
)
def test_of_a_few_values_the_refusal_names_all(tmp_path: Path, variable: str, allowed: str) -> None:
    assert refusal(tmp_path, **{variable: "mysql"}).endswith(f"to a value that does not fit: choose from {allowed}.")


def test_an_address_of_postgresql_is_refused_on_sqlite(tmp_path: Path) -> None:
    said = refusal(tmp_path, SATCHEL_DATABASE__URL="postgresql://hidden")
    assert "set SATCHEL_DATABASE__KIND=postgres" in said
    assert "url: set by SATCHEL_DATABASE__URL" in said
    assert "hidden" not in said


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:9091", "https:/x"])
def test_an_upstream_that_is_not_http_is_refused(tmp_path: Path, url: str) -> None:
    assert "url must begin with http:// or https://" in refusal(tmp_path, SATCHEL_UPSTREAM__URL=url)
    assert loaded(tmp_path, SATCHEL_UPSTREAM__URL="https://net.example").upstream.url == "https://net.example"


@pytest.mark.parametrize(
    "toml", ["[database]\nkind = 5\n", "[coreapp]\nlease_ttl = []\n", "[volume]\npath = 3\n", "[volume.path]\na = 1\n"]
)
def test_a_toml_value_that_does_not_fit_is_named_with_its_file(tmp_path: Path, toml: str) -> None:
    said = refusal(tmp_path, toml)
    assert str(tmp_path / "satchel.toml") in said
    assert "does not fit" in said


@pytest.mark.parametrize("content", [b"[database\n", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "satchel.toml").write_bytes(content)
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path, {}, toml=tmp_path / "satchel.toml")


@pytest.mark.parametrize(("variable", "given", "expected"), [(TTL, "3", 3.0), ("SATCHEL_POSTPROCESS__CHILDREN", "4", 4)])
def test_text_becomes_a_number_where_a_number_is_asked_for(tmp_path: Path, variable: str, given: str, expected: Any) -> None:
    section, name = variable.removeprefix("SATCHEL_").lower().split("__")
    assert getattr(getattr(loaded(tmp_path, **{variable: given}), section), name) == expected


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    found = loaded(tmp_path, "[coreapp]\nlease_ttl = 7\n", **{TTL: "", "SATCHEL_DATABASE__KIND": "", "SATCHEL_UPSTREAM__SECRET_FILE": ""})
    assert (found.coreapp.lease_ttl, found.database.kind) == (7.0, "sqlite")


def test_a_secret_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hidden-one", encoding="utf-8")
    twice = {"SATCHEL_UPSTREAM__SECRET": "hidden-two", "SATCHEL_UPSTREAM__SECRET_FILE": str(tmp_path / "secret")}
    said = refusal(tmp_path, **twice)
    assert all(name in said for name in twice)
    assert "hidden" not in said


@pytest.mark.parametrize("number", ["+12025550100", "1202x", "١٢٠٢"])
def test_a_number_of_the_business_that_is_no_digits_is_refused(tmp_path: Path, number: str) -> None:
    assert "number" in refusal(tmp_path, SATCHEL_UPSTREAM__NUMBER=number)


# The administrator's password


def test_the_administrators_password_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("Quay-Lantern-43\n", encoding="utf-8")
    assert settings.admin_password({}) is None
    given = settings.admin_password({"SATCHEL_ADMIN_PASSWORD": "Quay-Lantern-42"})
    assert given == settings.Given("Quay-Lantern-42", in_file=False)
    assert "Quay" not in repr(given)
    in_file = settings.admin_password({"SATCHEL_ADMIN_PASSWORD_FILE": str(tmp_path / "password")})
    assert in_file == settings.Given("Quay-Lantern-43", in_file=True)


def test_an_administrators_password_that_breaks_the_rule_is_refused_and_not_said() -> None:
    with pytest.raises(SettingsError, match="SATCHEL_ADMIN_PASSWORD") as caught:
        settings.admin_password({"SATCHEL_ADMIN_PASSWORD": "hidden"})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("SATCHEL_VOLUME__WAIT_FOR_ROOM", "600", "no time such as 90s"),
        ("SATCHEL_VOLUME__WAIT_FOR_ROOM", "0s", "from 1s to 24h"),
        ("SATCHEL_VOLUME__WAIT_FOR_ROOM", "2d", "from 1s to 24h"),
        ("SATCHEL_VOLUME__TOLD_PATH", "wa/media", "an absolute path, such as /mnt/wa/media"),
    ],
)
def test_what_the_volume_cannot_be_told_is_refused(tmp_path: Path, variable: str, value: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as caught:
        load(tmp_path, {variable: value}, toml=tmp_path / "none.toml")
    assert variable in str(caught.value)


def test_p17_how_long_is_waited_for_room_is_ten_minutes_unless_set(tmp_path: Path) -> None:
    assert load(tmp_path, {}, toml=tmp_path / "none.toml").volume.wait_for_room == 600
    assert load(tmp_path, {"SATCHEL_VOLUME__WAIT_FOR_ROOM": "90s"}, toml=tmp_path / "none.toml").volume.wait_for_room == 90
