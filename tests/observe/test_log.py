"""Every line of a process is JSON where nobody sits before it, whoever says it."""

import json
import subprocess
import sys
from typing import Any

SAID = """
import asyncio, logging, warnings, structlog
from satchel import observe
observe.set_up()
structlog.contextvars.bind_contextvars(request_id="r-1")
structlog.get_logger().info("ours", media_id="m-1")
structlog.get_logger().info("odd", path="\\ud800", what=ValueError)
logging.getLogger("uvicorn.error").warning("theirs %d", 1)
logging.getLogger("uvicorn.error").info("too much")
warnings.warn("careful")
async def broken():
    asyncio.get_running_loop().call_exception_handler({"message": "a task", "exception": ValueError("no")})
asyncio.run(broken())
"""


def test_structlog_libraries_and_warnings_share_one_form() -> None:
    done = subprocess.run([sys.executable, "-W", "default", "-c", SAID], capture_output=True, text=True, check=True)
    lines: list[dict[str, Any]] = [json.loads(line) for line in done.stderr.splitlines()]
    ours, odd, theirs, warned, task = lines
    assert (ours["event"], ours["media_id"], ours["level"]) == ("ours", "m-1", "info")
    assert (odd["path"], odd["what"]) == ("\ud800", "<class 'ValueError'>")
    assert (theirs["event"], theirs["logger"], theirs["level"]) == ("theirs 1", "uvicorn.error", "warning")
    assert "careful" in warned["event"]
    assert task["logger"] == "asyncio"
    assert "ValueError: no" in task["exception"]
    assert all(line["request_id"] == "r-1" and line["timestamp"].endswith("Z") for line in lines[:4])
