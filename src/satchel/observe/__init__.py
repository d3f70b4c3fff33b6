"""Log set-up: one line per decision, readable on a terminal, JSON elsewhere, whoever says it. Figures: `metrics`, `figures`."""

import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from structlog.typing import Processor

from satchel.observe import requests


def set_up(level: int = logging.INFO) -> None:
    """Log to stderr from here on, from a level on; what libraries and Python's warnings say takes the same form."""
    terminal = sys.stderr.isatty()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *([] if terminal else [structlog.processors.format_exc_info]),
    ]
    structlog.configure(
        processors=[*shared, _end(True) if terminal else structlog.processors.JSONRenderer(_line)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr) if terminal else structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    if not terminal:
        requests.write_to(sys.stderr.buffer)
    _libraries(shared, terminal)


def _libraries(shared: list[Processor], terminal: bool) -> None:
    """uvicorn, asyncio and others log through the standard library."""
    handler = logging.StreamHandler(sys.stderr)
    named: list[Processor] = [structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(), *shared]
    ends = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _end(terminal)]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=named, processors=ends))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)


def _end(terminal: bool) -> Processor:
    if terminal:
        return structlog.dev.ConsoleRenderer(pad_event_to=0, exception_formatter=structlog.dev.plain_traceback)
    return structlog.processors.JSONRenderer()


_encode = msgspec.json.Encoder(enc_hook=repr).encode


def _line(said: dict[str, Any], default: Callable[[Any], Any]) -> bytes:
    """A line costs a request less than its own work, so the fast encoder; what it cannot take (half a character, say) the slow one can."""
    try:
        return _encode(said)
    except (UnicodeEncodeError, msgspec.MsgspecError):
        return json.dumps(said, default=default).encode()
