"""The one file of a multipart form: a frequent mistake of clients that know other APIs, tolerated where it is unambiguous."""

from collections import deque
from collections.abc import AsyncIterator, Callable
from email.message import Message
from typing import TYPE_CHECKING

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

from satchel.domain.errors import PARAMETER_INVALID, Fault

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

HINT = "Send the raw bytes of the file as the body with its own Content-Type, or a form with exactly one file."
FIELD_BYTES = 64 * 1024


class Form:
    """Reads a form as it comes, passing over fields without a file name. Raises `Fault` unless it is whole and has one file."""

    def __init__(self, boundary: bytes, blocks: AsyncIterator[bytes]) -> None:
        self._blocks = blocks
        self._parser = MultipartParser(boundary, self._callbacks())
        self._found: deque[bytes] = deque()
        self._headers: list[tuple[str, str]] = []
        self._name = self._value = b""
        self._in_file = self._ended = False
        self._passed = 0
        self.mime: str | None = None

    async def begin(self) -> str:
        """Read up to the file's first bytes; its Content-Type, empty when it has none."""
        while self.mime is None and await self._feed():
            pass
        if self.mime is None:
            raise Fault(PARAMETER_INVALID, f"The multipart form has no file. {HINT}")
        return self.mime

    async def file(self) -> AsyncIterator[bytes]:
        """The bytes of the file; then the rest of the form, in which no second one may come."""
        while True:
            while self._found:
                yield self._found.popleft()
            if not await self._feed():
                return

    async def _feed(self) -> bool:
        """Parse another block; False after the last."""
        block = await anext(self._blocks, None)
        try:
            if block is not None:
                self._parser.write(block)
                self._pass_over(len(block) - sum(map(len, self._found)))
                return True
            self._parser.finalize()
        except MultipartParseError as error:
            raise Fault(PARAMETER_INVALID, f"The multipart form is broken: {error}. {HINT}") from error
        if not self._ended:
            raise Fault(PARAMETER_INVALID, f"The multipart form breaks off before its last boundary. {HINT}")
        return False

    def _callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._headers_begin,
            "on_header_field": self._on_name,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_end": self._on_end,
        }

    def _headers_begin(self) -> None:
        self._headers, self._in_file = [], False

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers.append((self._name.decode("latin-1"), self._value.decode("latin-1")))
        self._name = self._value = b""

    def _on_headers(self) -> None:
        part = Message()
        for name, value in self._headers:
            part[name] = value
        self._in_file = _plain(part.get_filename) is not None
        if self._in_file and self.mime is not None:
            raise Fault(PARAMETER_INVALID, f"The multipart form has several files. {HINT}")
        if self._in_file:
            self.mime = part.get("content-type", "")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._found.append(data[start:end])

    def _on_end(self) -> None:
        self._ended = True

    def _pass_over(self, size: int) -> None:
        self._passed += size
        if self._passed > FIELD_BYTES:
            raise Fault(PARAMETER_INVALID, f"The multipart form has more than {FIELD_BYTES} bytes beside its file. {HINT}")


def boundary_of(content_type: str) -> bytes:
    """The boundary that a Content-Type names. Raises `Fault`."""
    header = Message()
    header["content-type"] = content_type
    boundary = _plain(header.get_boundary)
    if not boundary:
        raise Fault(PARAMETER_INVALID, f"The Content-Type multipart/form-data names no boundary. {HINT}")
    return boundary.encode("latin-1", "replace")


def _plain(parameter: Callable[[], str | None]) -> str | None:
    """A parameter of a header. Raises `Fault` for pieces of one (RFC 2231) that do not fit together, on which the library stumbles."""
    try:
        return parameter()
    except (TypeError, ValueError):
        raise Fault(PARAMETER_INVALID, f"A header of the multipart form is malformed. {HINT}") from None
