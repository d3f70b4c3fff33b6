"""Who may look at health and metrics: any user, or the holder of the API key."""

import pytest
from starlette.datastructures import Headers

from satchel.domain.errors import Fault
from satchel.flows import tokens, users
from satchel.webapp import Config
from satchel.webapp.auth import Gate

from .conftest import Door

pytestmark = pytest.mark.anyio
KEY = "a-key-for-scraping"


async def test_any_token_and_the_api_key_may_look(fresh: Door) -> None:
    await users.add(fresh.ports.db, "shop", "Shop-Window-7")
    token = await tokens.mint_token(fresh.ports.db, "shop")
    gate = Gate(fresh.ports.db, Config(api_key=KEY))
    for shown in (f"Apikey {KEY}", f"apikey  {KEY}", f"Bearer {token}"):
        await gate.observer(Headers({"Authorization": shown}))
    for wrong in ("", "Apikey", f"Apikey {KEY}x", "Apikey \xff\xfe", f"Bearer {KEY}", f"Basic {KEY}"):
        with pytest.raises(Fault):
            await gate.observer(Headers({"Authorization": wrong}))
    with pytest.raises(Fault):
        await gate.user(Headers({"Authorization": f"Apikey {KEY}"}))


async def test_without_a_key_no_key_fits(fresh: Door) -> None:
    for wrong in ("Apikey", "Apikey ", "Apikey x"):
        with pytest.raises(Fault):
            await Gate(fresh.ports.db, Config()).observer(Headers({"Authorization": wrong}))
