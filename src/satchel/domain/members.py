"""Members of a JSON object that somebody sent: read with their type checked, named in every complaint. null counts as absent."""

from typing import Any

from satchel.domain.errors import PARAMETER_INVALID, PARAMETER_MISSING, Fault


def text(given: dict[str, Any], name: str, inside: str = "", required: bool = False, secret: bool = False) -> str | None:
    """A member that must be a string. `secret`: a complaint does not show what was given. Raises `Fault`."""
    value = given.get(name)
    where = f"{inside}.{name}" if inside else name
    if value is None:
        if required:
            raise Fault(PARAMETER_MISSING, f"{where} is missing: give it as a string.")
        return None
    if not isinstance(value, str):
        raise Fault(PARAMETER_INVALID, f"{where} must be a string." if secret else f"{where} must be a string, not {shown(value)}.")
    if not is_text(value):
        raise Fault(PARAMETER_INVALID, f"{where} holds a character that no text may hold (NUL, or half of a surrogate pair).")
    return value


def is_text(value: str) -> bool:
    """Whether databases and JSON can hold it."""
    return "\x00" not in value and not any("\ud800" <= char <= "\udfff" for char in value)


def shown(value: Any) -> str:
    """A value as complaints name it."""
    return repr(value)[:60]
