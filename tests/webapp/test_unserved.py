"""Calls of On-Premises that are not here: an integrator is told so, and the README names them."""

from pathlib import Path

import pytest

from satchel.webapp.unserved import UNSERVED

from .conftest import Door

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", [*UNSERVED, "/v1/account/shards", "/v1/settings/profile/photo", "/v1/stickerpacks/x/"])
async def test_a_call_that_is_not_served_is_told_apart(door: Door, method: str, path: str) -> None:
    answer = await door.http.request(method, path)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (404, 1006)
    assert error["details"].startswith(f"{path.rstrip('/')} is a call of On-Premises that this node does not serve")


@pytest.mark.parametrize("path", ["/v1/accounts", "/v1/supporters/x", "/v1/settings/profiles"])
async def test_an_address_that_nobody_knows_is_no_such_call(door: Door, path: str) -> None:
    (error,) = (await door.http.get(path)).json()["errors"]
    assert error["details"].startswith(f"There is nothing at {path}")


async def test_an_address_of_the_simulated_network_is_told_apart(door: Door) -> None:
    (error,) = (await door.http.get("/sandbox/phones")).json()["errors"]
    assert "this is the media node: ask at the network's port" in error["details"]


def test_the_readme_names_them() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert [path for path in UNSERVED if f"`{path}`" not in readme] == []
