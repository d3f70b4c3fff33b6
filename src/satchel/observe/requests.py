"""The line of the log that every request gets, in the form of all others; past structlog, whose chain costs as much as a small download."""

import asyncio
import time
from typing import BinaryIO, ClassVar

import msgspec
import structlog

log = structlog.get_logger("satchel.webapp")
LINE = b'{"method":%b,"path":%b,"status":%d,"ms":%.1f,"request_id":%b,"address":%b,"timestamp":"%b","event":"request","level":"info"}\n'


class _State:
    out: BinaryIO | None = None
    waiting: ClassVar[list[bytes]] = []
    second, prefix = -1, b""


_encode = msgspec.json.Encoder().encode


def write_to(out: BinaryIO) -> None:
    """Lines of JSON go there from now on; without it they go the way of all others."""
    _State.out = out


def line(method: str, path: str, status: int, seconds: float, request_id: str, address: str) -> None:
    """Log one request. `address`: whose it is."""
    if _State.out is None:
        log.info("request", method=method, path=path, status=status, ms=round(seconds * 1000, 1), address=address)
        return
    if not _State.waiting:
        asyncio.get_running_loop().call_soon(_flush)  # what this turn of the loop says is one write
    plain = path.encode("utf-8", "replace").decode()
    said = _encode(method), _encode(plain), status, seconds * 1000, _encode(request_id), _encode(address), _now()
    _State.waiting.append(LINE % said)


def _flush() -> None:
    lines, _State.waiting = _State.waiting, []
    if _State.out is not None:
        _State.out.write(b"".join(lines))
        _State.out.flush()


def _now() -> bytes:
    """As structlog writes it; what stays the same for a second is kept for as long."""
    now = time.time()
    second = int(now)
    if second != _State.second:
        _State.second, _State.prefix = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
    return b"%b.%06dZ" % (_State.prefix, int((now - second) * 1e6))
