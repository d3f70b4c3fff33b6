"""The environment of an On-Premises installation, read as settings of ours, so that an old `db.env` goes on working."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from urllib.parse import quote

from satchel.settings.faults import SettingsError

ALIASES = {"WA_API_KEY": "webapp.api_key", "WA_WEB_JWT_CRYPTO_KEY": "webapp.token_key"}
ADDRESS = ("WA_DB_HOSTNAME", "WA_DB_PORT", "WA_DB_USERNAME", "WA_DB_PASSWORD", "WA_DB_NAME_PREFIX")
CERTIFICATES = {"WA_DB_SSL_CA": "sslrootcert", "WA_DB_SSL_CERT": "sslcert", "WA_DB_SSL_KEY": "sslkey"}
"""libpq's names of the same files."""
SECRETS = {"WA_DB_PASSWORD", *ALIASES}
"""May come from a file that NAME_FILE names."""
IGNORED = (
    "WA_APP_MULTICONNECT",
    "WA_MASTER_NODE",
    "COREAPP_HOSTNAME",
    "COREAPP_EXTERNAL_PORTS",
    "WEBAPP_HOSTNAME",
    "WEBAPP_EXTERNAL_PORTS",
    "WA_RUNNING_ENV",
    "WA_RUNNING_ENV_VERSION",
    "ORCHESTRATION",
    "WA_API_VERSION",
    "WA_DB_CONNECTION_IDLE_TIMEOUT",
    "WA_DB_PERSISTENT",
    "WA_CONFIG_ON_DB",
    "WACORE_HOSTNAME",
)


@dataclass(frozen=True)
class Translated:
    """`values`: setting -> value and the names it came from; `notes`: sentences about what has no effect.

    `unknown`: one about names that look like On-Premises' and are nobody's here; empty where there are none.
    """

    values: dict[str, tuple[str, str]]
    notes: tuple[str, ...]
    unknown: str


def translate(environ: Mapping[str, str], taken: Mapping[str, tuple[str, str]], secret_file: Callable[[str, str], str]) -> Translated:
    """What the old names say. `taken`: settings that names of ours have set, value and name; they win. Raises `SettingsError`."""
    given = _given(environ, secret_file)
    found = {setting: (given[name], _origin(environ, name)) for name, setting in ALIASES.items() if name in given}
    found |= _database(environ, given, taken)
    beaten = [f"{taken[name][1]} sets {name}; {origin} has no effect." for name, (_, origin) in found.items() if name in taken]
    kind, decided = taken.get("database.kind", ("", ""))
    if kind == "sqlite" and "database.url" not in taken and (url := found.pop("database.url", None)):
        beaten.append(f"{decided} sets database.kind to sqlite; {url[1]} has no effect.")
    ignored = [name for name in IGNORED if environ.get(name)]
    notes = [*beaten, *([f"Not needed here and ignored: {', '.join(ignored)}."] if ignored else [])]
    return Translated({name: value for name, value in found.items() if name not in taken}, tuple(notes), _unknown(environ))


def _unknown(environ: Mapping[str, str]) -> str:
    """Old environments hold many names, so one that is misspelt or means nothing here is no error."""
    taken = {"WA_DB_ENGINE", *ADDRESS, *CERTIFICATES, *ALIASES, *(f"{name}_FILE" for name in SECRETS)}
    names = sorted(name for name in environ if name.startswith("WA_") and environ[name] and name not in {*taken, *IGNORED})
    near = {name: get_close_matches(name, sorted(taken), n=1, cutoff=0.85) for name in names}
    told = [f"{name} (did you mean {near[name][0]}?)" if near[name] else name for name in names]
    return f"Not taken from the environment, since nothing here is named so: {', '.join(told)}." if told else ""


def _given(environ: Mapping[str, str], secret_file: Callable[[str, str], str]) -> dict[str, str]:
    names = ("WA_DB_ENGINE", *ADDRESS, *CERTIFICATES, *ALIASES)
    given = {name: environ[name] for name in names if environ.get(name)}
    for name in SECRETS:
        if path := environ.get(f"{name}_FILE"):
            if name in given:
                raise SettingsError(f"{name} and {name}_FILE are both set: keep one of them.")
            given[name] = secret_file(f"{name}_FILE", path)
    return given


def _database(environ: Mapping[str, str], given: Mapping[str, str], taken: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    engine = given.get("WA_DB_ENGINE", "")
    used = [name for name in (*ADDRESS, *CERTIFICATES) if name in given]
    ours_decide = bool({"database.kind", "database.url"} & set(taken))
    if not engine and used and not ours_decide:
        raise SettingsError(
            f"{_origin(environ, used[0])} is set and WA_DB_ENGINE is not: set WA_DB_ENGINE=PGSQL if a PostgreSQL is meant, "
            "or remove the WA_DB_ names to use SQLite."
        )
    if engine.upper() not in ("", "PGSQL") and not ours_decide:
        raise SettingsError(
            f"WA_DB_ENGINE is {engine}, and Satchel keeps its data in PostgreSQL (15 or newer) or SQLite: set WA_DB_ENGINE=PGSQL with the "
            "address of an empty PostgreSQL database, or remove the WA_DB_ names to use SQLite."
        )
    found = {"database.kind": ("postgres", "WA_DB_ENGINE")} if engine else {}
    if "WA_DB_HOSTNAME" in given:
        found["database.url"] = (_url(given), ", ".join(_origin(environ, name) for name in used))
    return found


def _url(given: Mapping[str, str]) -> str:
    """A connection string for libpq, whatever characters the parts hold."""

    def part(name: str, before: str = "") -> str:
        return f"{before}{quote(given[name], safe='')}" if name in given else ""

    who = part("WA_DB_USERNAME") + part("WA_DB_PASSWORD", ":")
    host = given["WA_DB_HOSTNAME"].strip("[]")
    where = f"[{host}]" if ":" in host else quote(host, safe="")
    files = [f"{libpq}={quote(given[name], safe='')}" for name, libpq in CERTIFICATES.items() if name in given]
    if "WA_DB_SSL_CA" in given:
        files.insert(0, "sslmode=verify-ca")
    address = f"{where}{part('WA_DB_PORT', ':')}/{part('WA_DB_NAME_PREFIX')}"
    return f"postgresql://{who}{'@' if who else ''}{address}{'?' if files else ''}{'&'.join(files)}"


def _origin(environ: Mapping[str, str], name: str) -> str:
    return name if environ.get(name) else f"{name}_FILE"
