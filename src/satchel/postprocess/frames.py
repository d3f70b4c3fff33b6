"""The frames parent and child exchange over two pipes; both sides use this module, which knows nothing of what a frame says.

A frame is its length (4 bytes, big-endian) and that many bytes of JSON. Where the JSON announces a `size`, as many raw bytes follow:

    child  > parent   {"level": ["user nobody", …]} or {"failed": "why"}                        once, when it is ready
    parent > child    {"format": "jpeg", "mime": "image/jpeg", "size": 204800, "plan": null} + the file    a probe; with a plan, a rendition
                      with "hold": true the child keeps the file, with "again": true the one it keeps is meant, and no file follows
    child  > parent   {"facts": {…}}                                                            for a probe
                      {"mime": "image/jpeg", "size": 198000} + the result                       for a rendition
                      {"error": "broken" | "unfit" | "memory" | "ours", "text": "why"}

The child reads a file to its end before it answers, so neither side waits for a full pipe. It ends when its input does.
"""

import contextlib
import fcntl
import os
import struct

BLOCK = 256 << 10
"""Bytes moved at once."""

HELD_BYTES = 16 << 20
"""A child that waits for work keeps no larger file."""

FRAME_BYTES = 64 << 10
"""No frame is longer: a child that was taken over cannot make the parent read for ever."""


def widen(*pipes: int) -> None:
    """Let pipes hold more, so that both sides take turns less often; where the system has no more to give they stay as they are."""
    for pipe in pipes:
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4 * BLOCK)


def send(fd: int, message: bytes) -> None:
    """Write one frame."""
    send_bytes(fd, struct.pack(">I", len(message)) + message)


def send_bytes(fd: int, data: bytes | memoryview) -> None:
    """Write all of `data`, whatever the pipe takes at once."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def receive(fd: int) -> bytes | None:
    """Read one frame; None when the other side has ended. Raises EOFError for a frame that is cut off or too long."""
    first = os.read(fd, 4)
    if not first:
        return None
    length = bytearray(4)
    length[: len(first)] = first
    receive_into(fd, memoryview(length)[len(first) :])
    size = int.from_bytes(length, "big")
    if size > FRAME_BYTES:
        raise EOFError(f"a frame of {size} bytes; the limit is {FRAME_BYTES}")
    message = bytearray(size)
    receive_into(fd, memoryview(message))
    return bytes(message)


def receive_into(fd: int, view: memoryview) -> None:
    """Fill `view`. Raises EOFError when the other side ends before."""
    while view:
        count = os.readv(fd, [view])
        if not count:
            raise EOFError("the other side ended in the middle")
        view = view[count:]
