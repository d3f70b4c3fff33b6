"""What stands behind /v1/settings/application: which keys are known, their defaults, and what a PATCH may say. Unknown keys are ignored."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from satchel.domain.errors import PARAMETER_INVALID, Fault
from satchel.domain.limits import DAY
from satchel.domain.statuses import ANNOUNCED

LONGEST_DELAY = int(DAY * 1000)
"""Milliseconds."""
CONCURRENT, MOST_CONCURRENT = 24, 256
KINDS = ("image", "document", "audio", "video", "voice", "sticker")
DEFAULTS: dict[str, Any] = {
    "callback_backoff_delay_ms": 3000,
    "max_callback_backoff_delay_ms": 900_000,
    "callback_persist": True,
    "sent_status": False,
    "webhooks": {"alerts": False, "max_concurrent_requests": CONCURRENT, "message": dict(ANNOUNCED)},
    "media": {"auto_download": list(KINDS)},
    "garbagecollector_enable": {"messages": False, "media": False},
    "db_garbagecollector_enable": False,
}
KNOWN: dict[str, Any] = {**DEFAULTS, "webhooks": {**DEFAULTS["webhooks"], "url": None, "secret": None}}
"""Every key, in the sections where they stand."""
HIDDEN = "********"


def merged(stored: dict[str, Any], patch: Any) -> dict[str, Any]:
    """The settings after a PATCH: only what it names changes, null sets a key back. Raises `Fault` for a value that cannot be."""
    if not isinstance(patch, dict):
        raise Fault(PARAMETER_INVALID, "The body must be a JSON object of settings.")
    result = dict(stored)
    for key in ("callback_backoff_delay_ms", "max_callback_backoff_delay_ms"):
        _take(result, patch, key, _milliseconds)
    for key in ("sent_status", "callback_persist"):
        _take(result, patch, key, _boolean)
    media = dict(stored.get("media", {}))
    _take(media, _section(patch, "media"), "auto_download", _kinds)
    result["media"] = media
    result["garbagecollector_enable"] = _collector(stored, patch)
    chosen = dict(stored.get("webhooks", {}))
    hooks = _section(patch, "webhooks")
    if chosen.get("url") and hooks.get("url") == shown_url(chosen["url"]):  # as it was answered: it stays
        hooks = {**hooks, "url": chosen["url"]}
    for key, read in (("url", _url), ("alerts", _boolean), ("max_concurrent_requests", _concurrent), ("secret", _secret)):
        _take(chosen, hooks, key, read)
    message = dict(chosen.get("message", {}))
    if "sent_status" in patch:  # the older form of webhooks.message.sent; where both are given the newer form wins
        _take(message, {"sent": patch["sent_status"]}, "sent", _boolean)
    for status in ANNOUNCED:
        _take(message, _section(hooks, "message", "webhooks."), status, _boolean)
    result["webhooks"] = {**chosen, "message": message}
    _take(result, {"sent_status": message.get("sent")}, "sent_status", _boolean)
    return result


def strangers(patch: Any, known: Any = None, inside: str = "") -> list[str]:
    """Keys of a PATCH that nothing knows, with their sections, such as `webhooks.ulr`; the first ten, shortened."""
    known = KNOWN if known is None else known
    if not isinstance(patch, dict) or not isinstance(known, dict):
        return []
    found = [f"{inside}{key[:40]}" for key in patch if key not in known]
    for key in known:
        found += strangers(patch.get(key), known[key] or {}, f"{inside}{key}.") if isinstance(known[key], dict) else []
    return found[:10]


def collects(stored: dict[str, Any], what: str) -> bool:
    """Whether `media` or `messages` are cleaned up each night."""
    return bool(stored.get("garbagecollector_enable", {}).get(what))


def webhook_url(stored: dict[str, Any]) -> str | None:
    """Where callbacks go; None while no URL is set."""
    return stored.get("webhooks", {}).get("url") or None


def alerts(stored: dict[str, Any]) -> bool:
    """Whether callbacks tell of the node itself, too, such as of a full volume."""
    return bool(stored.get("webhooks", {}).get("alerts", False))


def concurrency(stored: dict[str, Any]) -> int:
    """How many callbacks may be on their way at once, over all hosts."""
    return int(stored.get("webhooks", {}).get("max_concurrent_requests") or CONCURRENT)


def fetches(stored: dict[str, Any], type_: str) -> bool:
    """Whether received media of this type, as callbacks name it, is fetched by itself."""
    chosen = stored.get("media", {}).get("auto_download")
    return type_ in (KINDS if chosen is None else chosen)


def secret(stored: dict[str, Any]) -> str:
    """What callbacks are signed with; empty where they are not."""
    return str(stored.get("webhooks", {}).get("secret") or "")


def shown(stored: dict[str, Any]) -> dict[str, Any]:
    """The settings with every default filled in, and no secret."""
    hooks = stored.get("webhooks", {})
    filled = {**DEFAULTS["webhooks"], **hooks, "message": {**DEFAULTS["webhooks"]["message"], **hooks.get("message", {})}}
    if "secret" in filled:
        filled["secret"] = HIDDEN
    if filled.get("url"):
        filled["url"] = shown_url(filled["url"])
    collector = {**DEFAULTS["garbagecollector_enable"], **stored.get("garbagecollector_enable", {})}
    return {
        **DEFAULTS,
        **stored,
        "webhooks": filled,
        "media": {**DEFAULTS["media"], **stored.get("media", {})},
        "garbagecollector_enable": collector,
        "db_garbagecollector_enable": collector["messages"],
    }


def _collector(stored: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """`db_garbagecollector_enable` is the older form of its `messages`; where both are given the newer form wins."""
    chosen = dict(stored.get("garbagecollector_enable", {}))
    if "db_garbagecollector_enable" in patch:
        _take(chosen, {"messages": _named(patch, "db_garbagecollector_enable")}, "messages", _boolean)
    for what in ("messages", "media"):
        _take(chosen, _section(patch, "garbagecollector_enable"), what, _boolean)
    return chosen


def _named(patch: dict[str, Any], key: str) -> bool | None:
    return None if patch[key] is None else _boolean(key, patch[key])


def shown_url(url: str) -> str:
    """An address that fits, without the password that may stand in it."""
    at_host = urlsplit(url).netloc
    user, given, host = at_host.rpartition("@")
    name, has_password, _ = user.partition(":")
    return url.replace(at_host, f"{name}:{HIDDEN}{given}{host}", 1) if has_password else url


def _take(into: dict[str, Any], given: dict[str, Any], key: str, read: Callable[[str, Any], Any]) -> None:
    if key not in given:
        return
    if given[key] is None:
        into.pop(key, None)
    else:
        into[key] = read(key, given[key])


def _section(given: dict[str, Any], key: str, inside: str = "") -> dict[str, Any]:
    section = given.get(key)
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise Fault(PARAMETER_INVALID, f"{inside}{key} must be an object.")
    return section


def _boolean(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Fault(PARAMETER_INVALID, f"{key} must be true or false, not {value!r:.60}.")
    return value


def _milliseconds(key: str, value: Any) -> int:
    """A number, or the string of one, as old clients send both."""
    try:
        number = 0 if isinstance(value, bool) else int(value)
    except (TypeError, ValueError, OverflowError):
        number = 0
    if not 0 < number <= LONGEST_DELAY:
        raise Fault(PARAMETER_INVALID, f"{key} must be a number of milliseconds from 1 to {LONGEST_DELAY}, not {value!r:.60}.")
    return number


def _concurrent(key: str, value: Any) -> int:
    """A number, or the string of one."""
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 5 else value
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MOST_CONCURRENT:
        raise Fault(PARAMETER_INVALID, f"webhooks.{key} must be a number from 1 to {MOST_CONCURRENT}, not {value!r:.60}.")
    return number


def _kinds(key: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(kind, str) and kind in KINDS for kind in value):
        raise Fault(PARAMETER_INVALID, f"media.{key} must be a list of {', '.join(KINDS)}, not {value!r:.60}.")
    return [kind for kind in KINDS if kind in value]


def _secret(key: str, value: Any) -> str | None:
    if value == "":
        return None
    if not isinstance(value, str) or not (value.isascii() and value.isprintable() and 16 <= len(value) <= 256):
        raise Fault(PARAMETER_INVALID, f"webhooks.{key} must have 16 to 256 printable ASCII characters, such as whsec_ and base64.")
    return value


def _url(key: str, value: Any) -> str | None:
    if value == "":
        return None
    if not fitting_url(value):
        raise Fault(PARAMETER_INVALID, f"webhooks.{key} must be an http:// or https:// address, such as https://example.com/hook.")
    if f":{HIDDEN}@" in value:
        raise Fault(PARAMETER_INVALID, f"webhooks.{key} has {HIDDEN} for a password, as answers show it: write the password itself.")
    return str(value)


def fitting_url(value: Any) -> bool:
    """Whether callbacks could go there."""
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    return fine and not any(char.isspace() or ord(char) < 32 for char in value)
