"""How settings are called in the environment, and names there that nobody reads but look as if somebody should.

An orchestrator sets names of its own for a service called satchel (`SATCHEL_PORT`, `SATCHEL_SERVICE_HOST`), so a name without a double
underscore is never refused.
"""

import difflib
from collections.abc import Iterable, Mapping

PREFIX = "SATCHEL_"
SINGLE = ("ADMIN_PASSWORD", "ADMIN_PASSWORD_FILE", "SANDBOX_SECRET", "SANDBOX_URL", "URL", "TOKEN", "CA")
"""What is read from the environment and is no setting, behind the prefix."""
ALIKE = 0.85
"""`sandboxport` and `sandboxurl` are less alike, one wrong or missing letter in a word of seven is more."""


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.replace(".", "__").upper()


def near_misses(environ: Mapping[str, str], settings: Iterable[str]) -> list[str]:
    """A sentence for each name that has no effect and is nearly one of ours. `settings`: all of them."""
    read = [variable(name) + end for name in settings for end in ("", "_FILE")] + [PREFIX + name for name in SINGLE]
    meant = {_letters(name): name for name in read}
    found = []
    for name, value in environ.items():
        if not value or not name.startswith(PREFIX) or "__" in name or name in read:
            continue
        if near := difflib.get_close_matches(_letters(name), meant, n=1, cutoff=ALIKE):
            found.append(f"{name} has no effect, nobody reads that name: did you mean {meant[near[0]]}?")
    return found


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.removeprefix(PREFIX).lower()))
