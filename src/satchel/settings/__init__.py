"""Gathers the rooms' config dataclasses. The only reader of environment and TOML.

Flag > environment > ./satchel.toml > the user's > the machine's > default.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from satchel import coreapp, db, egress, postprocess, upstream, volume, webapp
from satchel.domain import passwords, quantities, retention
from satchel.domain.errors import Fault
from satchel.settings import onprem, words
from satchel.settings.faults import SettingsError as SettingsError
from satchel.settings.words import PREFIX
from satchel.settings.words import variable as variable

SECTIONS: dict[str, type[Any]] = {
    "database": db.Config,
    "volume": volume.Config,
    "webapp": webapp.Config,
    "upstream": upstream.Config,
    "coreapp": coreapp.Config,
    "postprocess": postprocess.Config,
    "egress": egress.Config,
    "retention": retention.Rule,
}
ADMIN_PASSWORD, ADMIN_PASSWORD_FILE = "SATCHEL_ADMIN_PASSWORD", "SATCHEL_ADMIN_PASSWORD_FILE"
NO_SECRET = (
    "upstream.secret is not set, so satchel serve can send nothing (satchel dev makes a secret of its own): "
    "set SATCHEL_UPSTREAM__SECRET to what the simulated network has as SATCHEL_SANDBOX_SECRET."
)
FILE = Path("satchel.toml")
MACHINE_FILE = Path("/etc/satchel/satchel.toml")

Values = dict[str, tuple[Any, str]]
"""By the setting's name: what it was set to, and where."""


@dataclass(frozen=True)
class Settings:
    """`origins`: for each value that is not a default, where it was set; `notes`: sentences about what was set and has no effect.

    `unknown`: a sentence about names of the environment that look like On-Premises' and are nobody's, or nothing.
    """

    data_dir: Path
    database: db.Config
    volume: volume.Config
    webapp: webapp.Config
    upstream: upstream.Config
    coreapp: coreapp.Config
    postprocess: postprocess.Config
    egress: egress.Config
    retention: retention.Rule
    origins: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unknown: str = ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be said at a start: the notes, and what is lacking for all to work."""
        if self.upstream.kind == "sandbox" and not self.upstream.secret:
            return (*self.notes, NO_SECRET)
        return self.notes

    @property
    def volume_path(self) -> Path:
        """The media volume's folder."""
        return (self.volume.path or self.data_dir / "media").absolute()

    @property
    def database_file(self) -> Path:
        """SQLite's file."""
        return self.data_dir / "satchel.db"

    @property
    def admin_password_file(self) -> Path:
        """Where `satchel serve` puts a password that it made."""
        return self.data_dir / "admin-password"

    @property
    def unshown_password_file(self) -> Path:
        """Holds one that `satchel dev` made until a banner has shown it, so that a start that breaks off does not lose it."""
        return self.data_dir / "admin-password.unshown"


def load(
    data_dir: Path, environ: Mapping[str, str], toml: Path | None = None, flags: Mapping[str, tuple[Any, str]] | None = None
) -> Settings:
    """Merge all sources. Raises `SettingsError` for a name nobody knows (with the nearest one) or a value that does not fit.

    `toml`: the one file to read in place of those in the search order; `flags`: by the setting's name, value and flag.
    """
    values: Values = {}
    for path in [toml] if toml else reversed(files(environ)):
        values |= _from_toml(path)
    ours = _from_environment(environ)
    old = onprem.translate(environ, ours, _secret_file)
    values |= old.values | ours | dict(flags or {})
    for name, (_, origin) in values.items():
        _check_name(name, origin)
    built = {section: _section(section, config, values) for section, config in SECTIONS.items()}
    origins = {name: origin for name, (_, origin) in values.items()}
    notes = (*old.notes, *words.near_misses(environ, names()))
    return Settings(data_dir.absolute(), **built, origins=origins, notes=notes, unknown=old.unknown)


def files(environ: Mapping[str, str]) -> list[Path]:
    """The files that are looked for; the first counts most."""
    users = environ.get("XDG_CONFIG_HOME") or (f"{environ['HOME']}/.config" if environ.get("HOME") else None)
    return [FILE, *([Path(users) / "satchel" / FILE] if users else []), MACHINE_FILE]


@dataclass(frozen=True)
class Given:
    """The administrator's password as the environment gives it: `in_file`: by the name of a file, in ADMIN_PASSWORD_FILE."""

    password: str = field(repr=False)
    in_file: bool


def admin_password(environ: Mapping[str, str] = os.environ) -> Given | None:
    """The administrator's password, if the environment gives one. Raises `SettingsError` when it breaks the rule."""
    path = environ.get(ADMIN_PASSWORD_FILE)
    given = environ.get(ADMIN_PASSWORD) if path is None else _secret_file(ADMIN_PASSWORD_FILE, path)
    if given is None:
        return None
    try:
        passwords.check(given)
    except Fault as fault:
        raise SettingsError(f"{ADMIN_PASSWORD}: {fault.details}") from None
    return Given(given, in_file=path is not None)


def names() -> list[str]:
    """Every setting as `section.name`."""
    return [f"{section}.{item.name}" for section, config in SECTIONS.items() for item in fields(config)]


def secrets() -> set[str]:
    """The settings that are never shown: those that no repr shows."""
    return {f"{section}.{item.name}" for section, config in SECTIONS.items() for item in fields(config) if not item.repr}


def _from_toml(path: Path) -> Values:
    if not path.is_file():
        return {}
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read ({error}): mend the line.") from error
    return {
        f"{section}.{name}" if isinstance(inside, dict) else section: (value, str(path))
        for section, inside in read.items()
        for name, value in (inside.items() if isinstance(inside, dict) else [("", inside)])
    }


def _from_environment(environ: Mapping[str, str]) -> Values:
    """Names with a double underscore are settings; `…_FILE` names a file with the value, as container secrets do."""
    found: Values = {}
    known = set(names())
    misspelt = {variable(name).replace("__", "_"): variable(name) for name in known}
    for variable_, value in environ.items():
        if variable_ in misspelt:
            raise SettingsError(f"{variable_} is no setting: did you mean {misspelt[variable_]}, with two underscores?")
        if not variable_.startswith(PREFIX) or "__" not in variable_ or not value:
            continue  # an empty variable is how compose files say "not set"
        name = variable_.removeprefix(PREFIX).lower().replace("__", ".")
        if name not in known and name.endswith("_file") and name.removesuffix("_file") in known:
            name, value = name.removesuffix("_file"), _secret_file(variable_, value)
        if name in found:
            raise SettingsError(f"{variable_} and {found[name][1]} both set {name}: keep one of them.")
        found[name] = (value, variable_)
    return found


def _secret_file(variable_: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable_} names {path}, which cannot be read: {error}.") from error


def _check_name(name: str, origin: str) -> None:
    if name in names():
        return
    near = difflib.get_close_matches(name, names(), n=1)
    hint = f" Did you mean {near[0]} ({variable(near[0])})?" if near else ""
    raise SettingsError(f"{origin} sets {name}, which is no setting.{hint or ' Remove it; docs/reference/settings.md lists them all.'}")


def _section(section: str, config: type[Any], values: Values) -> Any:
    given = {}
    for item in fields(config):
        if (found := values.get(f"{section}.{item.name}")) is not None:
            given[item.name] = _value(f"{section}.{item.name}", item, *found)
    try:
        return config(**given)
    except ValueError as error:
        named = "; ".join(f"{name}: set by {values[f'{section}.{name}'][1]}" for name in given if name in str(error))
        raise SettingsError(f"[{section}] cannot be: {error}{named and f' ({named})'}.") from error


def _value(name: str, item: Field[Any], value: Any, origin: str) -> Any:
    try:
        if (unit := item.metadata.get("unit")) and isinstance(value, str):
            return quantities.PARSERS[unit](value)
        return msgspec.convert(value, type=item.type, strict=False, dec_hook=_path)
    except (msgspec.ValidationError, ValueError) as error:
        allowed = f"choose from {', '.join(map(str, get_args(item.type)))}" if get_origin(item.type) is Literal else error
        raise SettingsError(f"{origin} sets {name} to a value that does not fit: {allowed}.") from error


def _path(type_: type[Any], value: Any) -> Any:
    if type_ is Path and isinstance(value, str):
        return Path(value).expanduser()
    raise msgspec.ValidationError(f"expected {type_.__name__}")
