"""The Compose files say what the old ones said, and nothing in them that Satchel would not take. No engine is needed: they are read."""

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from satchel import settings
from satchel.cli import main
from satchel.settings import load, onprem, words
from satchel_sandbox.__main__ import _parser

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "compose"
FILES = ["docker-compose.yml", "multi.yml"]
Service = dict[str, Any]


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return found


def env_file() -> dict[str, str]:
    lines = (FOLDER / "db.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def commented() -> list[str]:
    lines = (FOLDER / "db.env").read_text(encoding="utf-8").splitlines()
    return [line[1:].split("=")[0] for line in lines if line.startswith("#") and "=" in line and " " not in line.split("=")[0]]


def ours(name: str) -> dict[str, Service]:
    """The services that run Satchel."""
    return {key: service for key, service in read(name)["services"].items() if service["image"] == "satchel-media"}


def nodes(name: str) -> dict[str, Service]:
    return {key: service for key, service in ours(name).items() if service["command"][0] == "satchel"}


def is_known(variable: str) -> bool:
    mine = {words.variable(name) for name in settings.names()} | {words.PREFIX + name for name in words.SINGLE}
    old = {"WA_DB_ENGINE", *onprem.ADDRESS, *onprem.CERTIFICATES, *onprem.ALIASES, *onprem.IGNORED}
    return variable in mine | old


def test_p19_services_volumes_and_port_are_those_of_the_old_installation() -> None:
    compose = read("docker-compose.yml")
    assert {"db", "wacore", "waweb"} <= set(compose["services"])
    assert compose["services"]["waweb"]["ports"] == ["9090:443"]
    assert "postgresData" in compose["volumes"]
    assert "postgresData:/var/lib/postgresql/data" in compose["services"]["db"]["volumes"]


@pytest.mark.parametrize("name", FILES)
def test_p19_the_media_volume_is_found_by_docker_volume_inspect(name: str) -> None:
    compose = read(name)
    assert compose["volumes"]["whatsappMedia"] == {"name": "whatsappMedia"}
    for service in nodes(name).values():
        assert "whatsappMedia:/usr/local/wamedia" in service["volumes"]
        assert service["environment"]["SATCHEL_VOLUME__PATH"] == "/usr/local/wamedia"


@pytest.mark.parametrize("name", FILES)
def test_every_volume_and_service_that_is_named_is_there(name: str) -> None:
    compose = read(name)
    for service in compose["services"].values():
        assert {mount.split(":")[0] for mount in service["volumes"]} <= set(compose["volumes"])
        assert set(service.get("depends_on", {})) <= set(compose["services"])
        assert service.get("network_mode", "service:db").removeprefix("service:") in compose["services"]
        for on, how in service.get("depends_on", {}).items():
            assert how["condition"] == "service_started" or "healthcheck" in compose["services"][on]


@pytest.mark.parametrize("name", FILES)
def test_p20_every_name_of_the_environment_is_one_that_satchel_knows(name: str) -> None:
    given = {*env_file(), *commented(), *(key for service in ours(name).values() for key in service.get("environment", {}))}
    assert len(given) > 8
    assert [variable for variable in given if not is_known(variable)] == []
    assert all(service["env_file"] == "db.env" for service in read(name)["services"].values())


@pytest.mark.parametrize("name", FILES)
def test_the_environment_loads_and_leads_to_the_database_beside_it(name: str, tmp_path: Path) -> None:
    for service in nodes(name).values():
        loaded = load(tmp_path, {**env_file(), **service["environment"]}, toml=tmp_path / "none.toml")
        assert (loaded.database.kind, loaded.unknown, loaded.remarks) == ("postgres", "", ())
        assert loaded.database.url.startswith("postgresql://satchel:")
        assert loaded.database.url.endswith("@db:5432/")
        assert loaded.volume_path == Path("/usr/local/wamedia")


def test_an_old_db_env_goes_on_working(tmp_path: Path) -> None:
    """As the old installation came with, on the port that it chose."""
    old = {"WA_DB_ENGINE": "PGSQL", "WA_DB_HOSTNAME": "db", "WA_DB_PORT": "3306", "WA_DB_USERNAME": "root", "WA_DB_PASSWORD": "testpass"}
    loaded = load(tmp_path, {**old, **nodes("docker-compose.yml")["waweb"]["environment"]}, toml=tmp_path / "none.toml")
    assert loaded.database.url == "postgresql://root:testpass@db:3306/"
    shell = read("docker-compose.yml")["services"]["db"]["entrypoint"][2].replace("$$", "$")
    said = 'echo "$POSTGRES_USER $POSTGRES_PASSWORD $POSTGRES_DB $PGPORT"'
    assert _shell(shell.replace("exec docker-entrypoint.sh postgres", said), old) == "root testpass root 3306"


def _shell(script: str, environ: dict[str, str]) -> str:
    done = subprocess.run(["sh", "-c", script], env={"PATH": os.environ["PATH"], **environ}, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("name", FILES)
def test_p20_the_commands_are_ones_that_satchel_takes(name: str) -> None:
    for service in ours(name).values():
        program, *arguments = service["command"]
        if program == "satchel":
            _parses(arguments)
        else:
            assert (program, arguments[:2]) == ("python", ["-m", "satchel_sandbox"])
            given = _parser().parse_args(arguments[2:])
            assert f"http://127.0.0.1:{given.port}" == nodes(name)[_core(name)]["environment"]["SATCHEL_UPSTREAM__URL"]


def _core(name: str) -> str:
    return "wacore" if "wacore" in read(name)["services"] else "master1"


def _parses(arguments: list[str]) -> Any:
    command: Any = main.get_command(None, arguments[0])
    return command.make_context(arguments[0], list(arguments[1:])).params


@pytest.mark.parametrize("name", FILES)
def test_p20_webapps_and_coreapps_meet_in_database_and_volume_alone(name: str) -> None:
    roles = {key: _parses(service["command"][1:])["role"] for key, service in nodes(name).items()}
    assert {"web", "core"} == set(roles.values())
    for key, service in nodes(name).items():
        assert ("ports" in service) is (roles[key] == "web")
        shared = service.get("network_mode")
        assert shared is None or roles[key] == "core"  # Coreapps share the loopback that the simulated network listens on
        if roles[key] == "web":
            assert _parses(service["command"][1:])["https"] is True
            assert service["hostname"] == "waweb"  # the name in the certificate, by which the simulated network finds it


def test_several_of_each_in_the_large_one() -> None:
    roles = [_parses(service["command"][1:])["role"] for service in nodes("multi.yml").values()]
    assert (roles.count("web"), roles.count("core")) == (2, 5)
    assert {"waweb", "master1", "master2", "wacore1", "wacore2", "wacore3"} <= set(nodes("multi.yml"))


def test_the_dockerfile_makes_the_folders_that_are_mounted_and_copies_what_is_not_ignored() -> None:
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    steps = dict(line.split(maxsplit=1) for line in text.splitlines() if line.strip() and not line.startswith("#"))
    assert list(steps) == ["FROM", "COPY", "RUN", "USER", "WORKDIR", "CMD"]
    made = set(shlex.split(steps["RUN"]))
    targets = {mount.split(":")[1] for name in FILES for service in ours(name).values() for mount in service["volumes"]}
    assert targets <= made
    kept = [line for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")]
    assert kept == [f"!{steps['COPY'].split()[0]}"]
    _parses(yaml.safe_load(steps["CMD"])[1:])
