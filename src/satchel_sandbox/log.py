"""Set-up of the log: to stderr, for people on a terminal, elsewhere a JSON object a line, in the form of the node's own lines."""

import json
import logging
import sys
import time


def set_up() -> None:
    """Log to stderr from here on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_ForPeople() if sys.stderr.isatty() else _Json())
    logging.basicConfig(handlers=[handler], level=logging.INFO)


class _ForPeople(logging.Formatter):
    """`2026-01-01T12:00:00.000000Z [warning  ] what happened  logger=sandbox`, an exception in the lines after it."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_at(record)} [{record.levelname.lower():<9}] {record.getMessage()}  logger={record.name}"
        return line if record.exc_info is None else f"{line}\n{self.formatException(record.exc_info)}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        said = {"event": record.getMessage(), "logger": record.name, "level": record.levelname.lower(), "timestamp": _at(record)}
        if record.exc_info is not None:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said)


def _at(record: logging.LogRecord) -> str:
    microseconds = int(record.created % 1 * 1e6)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{microseconds:06d}Z"
