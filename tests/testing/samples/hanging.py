"""A webhook that takes a callback and never answers, and a test after it with the same number."""

import socket
import threading

from satchel.testing.world import World

NUMBER = "12025550112"
KEPT: list[socket.socket] = []


def test_the_webhook_hangs(whatsapp: World) -> None:
    phone, listener, came = whatsapp.phone(NUMBER), socket.create_server(("127.0.0.1", 0)), threading.Event()
    KEPT.append(listener)

    def take() -> None:
        KEPT.append(listener.accept()[0])
        came.set()

    threading.Thread(target=take, daemon=True).start()
    whatsapp.node.settings.change(webhooks={"url": f"http://127.0.0.1:{listener.getsockname()[1]}/"})
    whatsapp.node.send.text(NUMBER, "its callback is never answered")
    phone.wait_for("text")
    assert came.wait(5)


def test_the_next_one_hears_of_its_own(whatsapp: World) -> None:
    whatsapp.phone(NUMBER)
    with whatsapp.expect_webhook("statuses", status="delivered"):
        whatsapp.node.send.text(NUMBER, "another test")
