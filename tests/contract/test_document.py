"""The OpenAPI document, the routes and the docs tell of the same calls."""

import json
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from satchel import webapp
from satchel.domain.errors import SITUATIONS
from satchel.webapp.app import routes
from satchel.webapp.auth import ALIAS
from satchel.webapp.health import STATES

DOCUMENT: dict[str, Any] = json.loads(resources.files("satchel.webapp").joinpath("openapi.json").read_text(encoding="utf-8"))
DOCS = Path(__file__).parents[2] / "docs/reference/http.md"


IMPLIED = {"accept", "authorization", "content-length", "content-type", "transfer-encoding"}
"""Headers that OpenAPI describes by other means, or that belong to the way."""
MEDIA = "/v1/media/{id}"
READERS: dict[str, Callable[[str, str], bool]] = {
    "app.py": lambda method, path: True,
    "digests.py": lambda method, path: (method, path) == ("post", "/v1/media"),
    "downloads.py": lambda method, path: path == MEDIA and method in {"get", "head"},
    "keys.py": lambda method, path: method == "post" and path in {"/v1/media", "/v1/messages"},
}
"""Which calls a module reads headers for."""
OPERATIONS = [(method, path, operation) for path, item in DOCUMENT["paths"].items() for method, operation in item.items()]


def described() -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item}


def served() -> set[tuple[str, str]]:
    """HEAD comes with every GET; it is a call of its own only where the document says so."""
    found = {(method, route.path.replace(":path", "")) for route in routes(None) for method in route.methods or ()}  # type: ignore[arg-type]
    return {(method, path) for method, path in found if not path.startswith("/_satchel/") and (method != "HEAD" or path == MEDIA)}


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
    for kind in ("parameters", "schemas", "responses"):
        for name in DOCUMENT["components"][kind]:
            assert f"#/components/{kind}/{name}" in text, f"{name} is described and never used"
    names = [operation["operationId"] for item in DOCUMENT["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_a_call_lists_what_its_kind_can_answer(method: str, path: str, operation: dict[str, Any]) -> None:
    wanted, listed = {"200"}, set(operation["responses"])
    if operation["security"]:
        wanted |= {"401", "500", "503"}
    if path.startswith("/v1/"):
        wanted |= {"429"}
    if "requestBody" in operation:
        wanted |= {"400", "408", "413"}
    if path.startswith(("/v1/certificates/", "/v1/media", "/v1/services/", "/v1/settings/", "/v1/users")) and not path.endswith(
        ("/login", "/logout")
    ):
        wanted |= {"403"}
    if path == MEDIA:
        wanted |= {"404"}
    if path == MEDIA and method != "delete":
        wanted |= {"206", "304", "416"}
    assert wanted - listed == set()
    assert {"206", "304", "401", "403", "408", "413", "416", "429"} & listed <= wanted
    assert listed <= {"200", "201", "206", "304", *(str(situation.status) for situation in SITUATIONS.values())}


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_a_call_lists_the_headers_that_are_read_for_it(method: str, path: str, operation: dict[str, Any]) -> None:
    wanted = {header for module, header in headers_read() if READERS[module](method, path)}
    parameters = [
        DOCUMENT["components"]["parameters"][found["$ref"].split("/")[-1]] if "$ref" in found else found
        for found in operation["parameters"]
    ]
    assert {found["name"].lower() for found in parameters if found["in"] == "header"} == wanted


def test_whoever_takes_a_token_takes_it_in_both_headers() -> None:
    assert DOCUMENT["components"]["securitySchemes"]["d360"]["name"].lower() == ALIAS
    for method, path, operation in OPERATIONS:
        assert ({"bearer": []} in operation["security"]) == ({"d360": []} in operation["security"]), f"{method} {path}"


def test_the_states_of_health_are_those_that_the_node_can_tell() -> None:
    assert set(DOCUMENT["components"]["schemas"]["GatewayStatus"]["enum"]) == STATES


def headers_read() -> set[tuple[str, str]]:
    """Module and header: what the Webapp's modules ask a request for by name."""
    found = set()
    for file in Path(webapp.__file__).parent.glob("*.py"):
        code = file.read_text(encoding="utf-8")
        names = re.findall(r'(?:headers|_asked)\.get\("([a-z0-9-]+)"|_header\(scope, b"([a-z0-9-]+)"', code)
        found |= {(file.name, one or other) for one, other in names if (one or other) not in IMPLIED}
    return found
