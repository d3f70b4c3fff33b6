"""The child's program: `python -m satchel.postprocess.child FAMILY MAX_PIXELS`. The parent never imports it.

It imports the handler of its family, gives up its rights, lets the handler prove that it still works, and then answers one request after
the other (`frames`) until its input ends, which it does when the parent dies, however that dies.
"""

import errno
import json
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from typing import Protocol, cast

from satchel.domain.media import Facts
from satchel.domain.plans import Plan
from satchel.postprocess import frames, isolation
from satchel.postprocess.broken import Broken, Unfit
from satchel.postprocess.families import FAMILIES

ENDING = {"memory", "ours"}
"""After these a child is not what it was: it ends, and the parent starts another."""


class Handler(Protocol):
    """What the module of a family has to offer. Its import must load every library and plug-in it will need: later no file opens.

    Both calls get the whole file. They raise `Broken`, `Unfit`, and whatever a decoder raises, which counts as `Broken`.
    """

    def self_test(self) -> None:
        """Decode something built in. Raises whatever is missing: a library, a plug-in, memory."""

    def probe(self, data: memoryview, form: str, mime: str, max_pixels: int) -> Facts:
        """What lies in the file. `form`, `mime`: what its first bytes say; the facts may say it better."""

    def render(self, data: memoryview, form: str, plan: Plan, max_pixels: int) -> tuple[str, bytes | memoryview]:
        """Carry out a plan: the mime of the result, and the result, of at most `plan.most` bytes."""


def main() -> int:
    """Isolate, prove, serve; the exit code says only whether the self test passed."""
    family, max_pixels = FAMILIES[sys.argv[1]], int(sys.argv[2])
    # An orderly stop of the whole control group must let the parent finish its job; this process then ends with its input.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        handler = cast(Handler, import_module(family.module))
        level = isolation.isolate(family.memory(max_pixels))
        handler.self_test()
    except Exception as why:  # noqa: BLE001 - whatever keeps a child from decoding is told to the parent
        frames.send(1, json.dumps({"failed": f"{type(why).__name__}: {why}"[:500]}).encode())
        return 1
    with suppress(EOFError, BrokenPipeError):  # The parent has died in the middle of something.
        frames.send(1, json.dumps({"level": level}).encode())
        while serve(handler, family.cpu, max_pixels):
            pass
    return 0


def serve(handler: Handler, cpu_seconds: int, max_pixels: int) -> bool:
    """Answer one request; False when the child has to end."""
    message = frames.receive(0)
    if message is None:
        return False
    isolation.renew_cpu(cpu_seconds)
    reply, body = answer(handler, json.loads(message), max_pixels)
    frames.send(1, json.dumps(reply).encode())
    frames.send_bytes(1, body)
    return reply.get("error") not in ENDING


Answer = tuple[dict[str, object], bytes | memoryview]


def answer(handler: Handler, request: dict[str, object], max_pixels: int) -> Answer:
    """The reply to one request and the bytes that follow it. This is the isolation boundary: whatever a decode raises becomes an answer."""
    try:
        return work(handler, request, max_pixels)
    except (Broken, Unfit) as why:
        return {"error": "broken" if isinstance(why, Broken) else "unfit", "text": str(why)}, b""
    except MemoryError:
        return {"error": "memory"}, b""
    except Exception as why:  # noqa: BLE001 - a hostile file makes a decoder raise anything at all
        ours = isinstance(why, ImportError) or (isinstance(why, OSError) and why.errno == errno.EMFILE)
        return {"error": "ours" if ours else "broken", "text": told(why)}, b""


def work(handler: Handler, request: dict[str, object], max_pixels: int) -> Answer:
    """Do with the file what was asked: carry out the plan that came along, or else probe."""
    data, form, mime = _file(request), str(request["format"]), str(request["mime"])
    if isinstance(plan := request.get("plan"), dict):
        mime, body = handler.render(memoryview(data), form, Plan(**plan), max_pixels)
        return {"mime": mime, "size": len(body)}, body
    return {"facts": asdict(handler.probe(memoryview(data), form, mime, max_pixels))}, b""


_held: list[bytearray] = []
"""The file that the next request may mean, or none."""


def _file(request: dict[str, object]) -> bytearray:
    """From the pipe, or the one that was kept."""
    if request.get("again"):
        return _held.pop()
    _held.clear()
    data = bytearray(int(str(request["size"])))
    frames.receive_into(0, memoryview(data))
    if request.get("hold"):
        _held.append(data)
    return data


def told(why: Exception) -> str:
    """A decoder's words, fit for an error message: one short line."""
    words = " ".join(str(why).split())[:200] or type(why).__name__
    return f"it does not decode to its end ({words.encode('ascii', 'replace').decode()})"


if __name__ == "__main__":
    sys.exit(main())
