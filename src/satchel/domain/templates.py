"""Templates as far as a media node cares: their shape, and the one media that their header may have."""

import json
from dataclasses import dataclass
from typing import Any

from satchel.domain.errors import PARAMETER_INVALID, PARAMETER_MISSING, TEMPLATE_FORMAT, TOO_LONG, Fault
from satchel.domain.members import is_text, shown, text

HEADERS = ("document", "image", "video")
SOURCES = ("id", "link", "provider")
MOST_BYTES = 64 * 1024


@dataclass(frozen=True)
class Header:
    """`type`: the media type; `media`: the object with id or link; `where`: its place, for complaints."""

    type: str
    media: dict[str, Any]
    where: str


def media_header(template: dict[str, Any]) -> Header | None:
    """Check a template; the media of its header, None without one. Raises `Fault`."""
    if len(written := json.dumps(template)) > MOST_BYTES:
        raise Fault(TOO_LONG, f"template has {len(written)} bytes; the limit is {MOST_BYTES}.")
    if not is_text(json.dumps(template, ensure_ascii=False)) or "\\u0000" in written:
        raise Fault(PARAMETER_INVALID, "template holds a character that no text may hold (NUL, or half of a surrogate pair).")
    text(template, "name", "template", required=True)
    _language(template.get("language"))
    found = [header for part in _objects(template, "components", "template") for header in _of(part)]
    if len(found) > 1:
        raise Fault(PARAMETER_INVALID, "template has more than one media header: give one.")
    return found[0] if found else None


def without_sources(template: dict[str, Any]) -> dict[str, Any]:
    """A checked template as its recipient may see it: where the media of its header came from is the business's own, and may be secret."""
    if not template.get("components"):
        return template
    return {**template, "components": [_bare(part) for part in template["components"]]}


def _bare(component: dict[str, Any]) -> dict[str, Any]:
    if str(component.get("type")).lower() != "header" or not component.get("parameters"):
        return component
    return {**component, "parameters": [_without_source(parameter) for parameter in component["parameters"]]}


def _without_source(parameter: dict[str, Any]) -> dict[str, Any]:
    media = {name: value for name, value in parameter.items() if name in HEADERS and isinstance(value, dict)}
    return parameter | {name: {key: said for key, said in value.items() if key not in SOURCES} for name, value in media.items()}


def _language(language: Any) -> None:
    if language is None:
        raise Fault(PARAMETER_MISSING, 'template.language is missing: give {"policy": "deterministic", "code": "en"}.')
    if not isinstance(language, dict):
        raise Fault(PARAMETER_INVALID, f"template.language must be an object, not {shown(language)}.")
    text(language, "code", "template.language", required=True)


def _of(component: dict[str, Any]) -> list[Header]:
    if str(component.get("type")).lower() != "header":
        return []
    found = []
    for parameter in _objects(component, "parameters", "template.components[].header"):
        kind = str(parameter.get("type")).lower()
        if kind in {"audio", "sticker"}:
            raise Fault(TEMPLATE_FORMAT, f"A template's header cannot be {kind}: use {', '.join(HEADERS)}.")
        if kind in HEADERS:
            media = parameter.get(kind)
            if not isinstance(media, dict):
                raise Fault(PARAMETER_MISSING, f'The template\'s header needs {{"type": "{kind}", "{kind}": {{"id": "<media id>"}}}}.')
            found.append(Header(kind, media, f"template header {kind}"))
    return found


def _objects(given: dict[str, Any], name: str, inside: str) -> list[dict[str, Any]]:
    value = given.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Fault(PARAMETER_INVALID, f"{inside}.{name} must be a list of objects.")
    return value
