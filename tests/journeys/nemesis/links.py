"""What links lead to: somebody else's server with a hard life of its own, which refuses some and hangs up on others in the middle."""

import hashlib
import random
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler

from .bodies import Body
from .ledger import Link
from .serving import serving


class Shelf:
    """Serves what was put there, for as long as it runs. `links`: to all of it; `counts`: how it went."""

    def __init__(self, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self.links: list[Link] = []
        self._bodies: list[Body] = []
        self._dice, self._lock = random.Random(seed), threading.Lock()
        self._server = serving("GET", self.serve)

    def put(self, body: Body) -> Link:
        """Under an address of its own."""
        with self._lock:
            url = f"http://127.0.0.1:{self._server.server_address[1]}/{len(self._bodies)}?signed=yes"
            link = Link(url, body.type, hashlib.sha256(body.data).hexdigest(), body.raw)
            self._bodies.append(body)
            self.links.append(link)
        return link

    def put_again(self, dice: random.Random) -> Link:
        """What lies there already, under another address."""
        return self.put(dice.choice(self._bodies))

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            mood = self._dice.choices(["200", "503", "hangs up at once", "hangs up in the middle"], weights=[85, 7, 3, 5])[0]
            self.counts[mood] += 1
        if mood == "hangs up at once":
            handler.close_connection = True
            return
        body = self._bodies[int(handler.path.strip("/").partition("?")[0])]
        handler.send_response(503 if mood == "503" else 200)
        handler.send_header("Content-Type", body.mime)
        handler.send_header("Content-Length", "0" if mood == "503" else str(len(body.data)))
        handler.end_headers()
        if mood != "503":
            handler.wfile.write(body.data if mood == "200" else body.data[: len(body.data) // 2])
        handler.close_connection = True

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
