"""A test that uses no fixture of the kit: nothing of Satchel but the plugin may have been imported for it."""

import sys


def test_only_the_plugin_is_there() -> None:
    ours = {name for name in sys.modules if name.partition(".")[0] in ("satchel", "satchel_sandbox")}
    assert ours == {"satchel", "satchel.testing", "satchel.testing.plugin"}
    assert not {"aiohttp", "apsw", "av", "httpx2", "msgspec", "starlette"} & set(sys.modules)
