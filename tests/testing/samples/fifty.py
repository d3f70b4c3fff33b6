"""Fifty tests on one phone's number. Each leaves a mess that the next one must see nothing of."""

import pytest

from satchel.testing.world import World

NUMBER, ELSEWHERE = "12025550112", "12025550113"
DEAD = "http://127.0.0.1:9/"


@pytest.mark.parametrize("n", range(50))
def test_nothing_is_left_of_the_last_test(whatsapp: World, n: int) -> None:
    settings = whatsapp.node.settings.get()
    assert settings["callback_backoff_delay_ms"] == 3000
    assert settings["webhooks"]["url"] == whatsapp.server.receiver.url
    assert whatsapp.sandbox.phones() == []
    assert whatsapp.sandbox.chaos() == {}
    assert whatsapp.sandbox.clock()["offset"] == 0
    phone = whatsapp.phone(NUMBER)
    with whatsapp.expect_webhook("statuses", status="delivered"):
        sent = whatsapp.node.send.text(NUMBER, f"number {n}")
    assert phone.wait_for("text").text == f"number {n}"
    assert [message.id for message in phone.messages] == [sent.id]
    assert [status["id"] for one in whatsapp.webhooks for status in one.json["statuses"]] == [sent.id]
    leave_a_mess(whatsapp)


def leave_a_mess(whatsapp: World) -> None:
    """Callbacks that fail, messages that wait for a network that is broken, a clock in the future, settings that slow everything down."""
    whatsapp.node.settings.change(callback_backoff_delay_ms=900_000, webhooks={"url": DEAD})
    whatsapp.phone(ELSEWHERE, online=False)
    whatsapp.node.send.text(ELSEWHERE, "kept on the server")
    whatsapp.node.send.text(NUMBER, "its callback goes nowhere").wait()
    whatsapp.clock.advance(days=3)
    whatsapp.sandbox.set_chaos({"dispatch": {"fail": 1.0}})
    whatsapp.node.send.text(NUMBER, "put off again and again")
    whatsapp.node.send.image(NUMBER, whatsapp.media.upload(b"no picture", "image/jpeg"))
