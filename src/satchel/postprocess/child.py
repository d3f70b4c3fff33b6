"""The child's program: `python -m satchel.postprocess.child --max-pixels N`. The parent never imports it.

It gives up its rights, proves on two built-in pictures that it can still decode, and then answers one request after the other (`frames`)
until its input ends, which it does when the parent dies, however that dies.
"""

import base64
import errno
import json
import signal
import sys
from contextlib import suppress

from satchel.postprocess import frames, image, isolation
from satchel.postprocess.broken import Broken

JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqmx5moq6T/"
    "2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKT/wAARCAAIABADASIAAhEBAxEB/8QA"
    "FQABAQAAAAAAAAAAAAAAAAAAAAT/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QAFAEBAAAAAAAAAAAAAAAAAAAABP/EABQRAQAAAAAAAAAAAAAAAAAAAAD/2gAM"
    "AwEAAhEDEQA/AIQDRX//2Q=="
)
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAABAAAAAICAYAAADwdn+XAAAAGUlEQVR42mOUi1rwn4ECwMRAIRg1YDAYAABKjgInxijLCAAAAABJRU5ErkJggg==")
ENDING = {"memory", "ours"}
"""After these a child is not what it was: it ends, and the parent starts another."""


def main() -> int:
    """Isolate, prove, serve; the exit code says only whether the self test passed."""
    max_pixels = int(sys.argv[sys.argv.index("--max-pixels") + 1])
    # An orderly stop of the whole control group must let the parent finish its job; this process then ends with its input.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        level = isolation.isolate(max_pixels)
        self_test()
    except Exception as why:  # noqa: BLE001 - whatever keeps a child from decoding is told to the parent
        frames.send(1, json.dumps({"failed": f"{type(why).__name__}: {why}"[:500]}).encode())
        return 1
    with suppress(EOFError, BrokenPipeError):  # The parent has died in the middle of something.
        frames.send(1, json.dumps({"level": level}).encode())
        while serve(max_pixels):
            pass
    return 0


def self_test() -> None:
    """Decode one picture of each format, as a job does. Raises whatever is missing: a library, a plug-in, memory."""
    for kind, data in (("jpeg", JPEG), ("png", PNG)):
        found = image.probe(memoryview(data), kind, max_pixels=1_000)
        if (found.width, found.height, found.lacks) != (16, 8, ()):
            raise RuntimeError(f"the built-in {kind} came out as {found}")


def serve(max_pixels: int) -> bool:
    """Answer one request; False when the child has to end."""
    message = frames.receive(0)
    if message is None:
        return False
    isolation.renew_cpu()
    reply, body = answer(json.loads(message), max_pixels)
    frames.send(1, json.dumps(reply).encode())
    frames.send_bytes(1, body)
    return reply.get("error") not in ENDING


def answer(request: dict[str, object], max_pixels: int) -> tuple[dict[str, object], bytes]:
    """The reply to one request and the bytes that follow it. This is the isolation boundary: whatever a decode raises becomes an answer."""
    try:
        return work(str(request["kind"]), str(request["format"]), int(str(request["size"])), max_pixels)
    except Broken as why:
        return {"error": "broken", "text": str(why)}, b""
    except MemoryError:
        return {"error": "memory"}, b""
    except Exception as why:  # noqa: BLE001 - a hostile file makes a decoder raise anything at all
        ours = isinstance(why, ImportError) or (isinstance(why, OSError) and why.errno == errno.EMFILE)
        return {"error": "ours" if ours else "broken", "text": told(why)}, b""


def work(kind: str, form: str, size: int, max_pixels: int) -> tuple[dict[str, object], bytes]:
    """Read the file from the pipe and do what was asked."""
    data = bytearray(size)
    frames.receive_into(0, memoryview(data))
    view = memoryview(data)
    found = image.probe(view, form, max_pixels) if kind == "probe" else image.look(view, form, max_pixels)
    body = image.render(view, form) if kind == "render" and not found.lacks else b""
    return {"width": found.width, "height": found.height, "lacks": found.lacks, "size": len(body)}, body


def told(why: Exception) -> str:
    """A decoder's words, fit for an error message: one short line."""
    words = " ".join(str(why).split())[:200] or type(why).__name__
    return f"it does not decode to its end ({words.encode('ascii', 'replace').decode()})"


if __name__ == "__main__":
    sys.exit(main())
