"""The OpenAPI document, the routes and the docs tell of the same calls."""

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

from satchel.webapp.app import routes

DOCUMENT: dict[str, Any] = json.loads(resources.files("satchel.webapp").joinpath("openapi.json").read_text(encoding="utf-8"))
DOCS = Path(__file__).parents[2] / "docs/reference/http.md"


def described() -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item}


def served() -> set[tuple[str, str]]:
    """HEAD comes with every GET; it is a call of its own only where the document says so."""
    found = {(method, route.path.replace(":path", "")) for route in routes(None) for method in route.methods or ()}  # type: ignore[arg-type]
    return {
        (method, path) for method, path in found if not path.startswith("/_satchel/") and (method != "HEAD" or path == "/v1/media/{id}")
    }


def test_the_document_describes_what_is_served() -> None:
    assert served() == described()


def test_the_docs_tell_what_the_document_describes() -> None:
    told = set(re.findall(r"^\| `([A-Z]+) (/[^` ]*)`", DOCS.read_text(encoding="utf-8"), re.MULTILINE))
    told = {(method, path) for method, path in told if path.split("/")[1] not in {"_satchel", "sandbox"}}
    assert told == {(method, path) for method, path in described() & served() if method != "HEAD"}


def test_nothing_is_named_that_is_not_there() -> None:
    text = json.dumps(DOCUMENT)
    for _, kind, name in re.findall(r'"(#)/components/(\w+)/(\w+)"', text):
        assert name in DOCUMENT["components"][kind]
    for kind in ("schemas", "responses"):
        for name in DOCUMENT["components"][kind]:
            assert f"#/components/{kind}/{name}" in text, f"{name} is described and never used"
    names = [operation["operationId"] for item in DOCUMENT["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))
