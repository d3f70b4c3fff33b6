"""A link on its way to a media: fetched once for the messages that wait for it."""

from satchel.domain.errors import NOT_SUPPORTED_YET, Fault
from satchel.domain.media import Media
from satchel.flows import Ports


async def fetch(ports: Ports, link: str, provider: str | None) -> Media:
    """The file behind a link as a media of direction `link`; the same bytes are one media, however many links lead to them.

    Raises `Fault(LINK_FAILED | UPLOAD_TOO_LARGE)` for good, `Later` for what may pass, and what the volume raises.
    """
    raise Fault(NOT_SUPPORTED_YET, f"The link {link[:60]} is not supported yet: upload the file with POST /v1/media and send its id.")
