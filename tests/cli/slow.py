"""A slow road to a node: hands bytes on in drops until it is told to hurry."""

import contextlib
import socket
import threading

DROP = 64 * 1024


class SlowRoad:
    """Listens on `url` and hands on to a port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._hurry = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def hurry(self) -> None:
        self._hurry.set()

    def close(self) -> None:
        self._hurry.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                threading.Thread(target=self._join, args=(here,), daemon=True).start()

    def _join(self, here: socket.socket) -> None:
        with here, socket.create_connection(("127.0.0.1", self._port)) as there:
            back = threading.Thread(target=self._pump, args=(there, here), daemon=True)
            back.start()
            self._pump(here, there)
            back.join()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while drop := one.recv(DROP):
                self._hurry.wait(0.02)
                other.sendall(drop)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RD)
