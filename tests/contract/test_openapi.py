"""Requests made up from the OpenAPI document, fitting and unfitting ones, sent to a real Webapp: it never breaks, and answers as described.

Always the same requests. Two calls would end what the others need: the login gets a name that nobody has, the logout a token of its own.
"""

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ..conftest import Place
from ..journeys.running import PASSWORD, Node, eventually
from .test_document import DOCUMENT, served

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance, response_headers_conformance]
GENERATION = GenerationConfig(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE], deterministic=True, with_security_parameters=False)
CONFIG = SchemathesisConfig(seed=7, projects=ProjectsConfig(default=ProjectConfig(generation=GENERATION)))
CALLS = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG).include(
    lambda context: (context.operation.method.upper(), context.operation.path) in served()
)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A Webapp and a Coreapp, and no network."""
    node = Node(Place(tmp_path_factory.mktemp("made-up"), {"SATCHEL_DATABASE__KIND": "sqlite"}))
    node.start("web")
    node.start("core")
    eventually(lambda: node.answers("/"), 30.0, lambda: node.log.read_text())
    ready = f"{node.url}/_satchel/readyz"
    eventually(lambda: "coreapp" not in node.http.get(ready).json()["lacking"], 30.0, lambda: node.log.read_text())
    yield node
    node.stop_all()


@pytest.fixture(scope="module")
def token(node: Node) -> str:
    return fresh_token(node)


def fresh_token(node: Node) -> str:
    answer = node.http.post(f"{node.url}/v1/users/login", auth=("admin", PASSWORD))
    return str(answer.json()["users"][0]["token"])


@CALLS.parametrize()
@hypothesis.settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.generate],
)
def test_whatever_is_asked_the_answer_is_a_described_one(case: schemathesis.Case[Any], node: Node, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    if case.path == "/v1/users/login":
        headers = {"Authorization": "Basic bm9ib2R5Om5vdGhpbmc="}
    elif case.path == "/v1/users/logout":
        headers = {"Authorization": f"Bearer {fresh_token(node)}"}
    case.call_and_validate(base_url=node.url, headers=headers, checks=CHECKS)
