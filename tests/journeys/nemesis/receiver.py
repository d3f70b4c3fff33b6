"""The business's webhook with a hard life of its own: some callbacks are refused, some are hung up on, before or after they were read."""

import json
import random
import threading
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

from .serving import serving


@dataclass(frozen=True)
class Told:
    """One callback as it came. `taken`: it was answered 200."""

    id: str
    body: dict[str, Any]
    taken: bool


class Receiver:
    """`told`: in order of arrival."""

    def __init__(self, seed: int) -> None:
        self.told: list[Told] = []
        self.counts: Counter[str] = Counter()
        self._dice, self._lock = random.Random(seed), threading.Lock()
        self._server = serving("POST", self.take)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            mood = self._dice.choices(["200", "500", "hangs up unread", "hangs up silent"], weights=[85, 8, 3, 4])[0]
            self.counts[mood] += 1
        if mood == "hangs up unread":
            handler.close_connection = True
            return
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._lock:
            self.told.append(Told(handler.headers["webhook-id"], body, taken=mood == "200"))
        if mood == "hangs up silent":
            handler.close_connection = True
            return
        handler.send_response(int(mood))
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
