"""GET /v1/openapi.json: the description of /v1, as it lies in the package."""

from importlib import resources

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class Document:
    """Without a token: it tells nothing that the docs do not."""

    def __init__(self) -> None:
        self._body = resources.files("satchel.webapp").joinpath("openapi.json").read_bytes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Response(self._body, media_type="application/json")(scope, receive, send)
