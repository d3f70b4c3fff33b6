"""What `benchmarks.kit` runs with pytest: fifty tests that send something, and one that looks closer. Not a benchmark by itself."""

import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from satchel.testing.world import World

TO = "12025550112"
ROUNDS = 15


@pytest.mark.parametrize("n", range(50))
def test_text(whatsapp: World, n: int) -> None:
    phone = whatsapp.phone(TO)
    whatsapp.node.send.text(TO, f"number {n}")
    assert phone.wait_for("text").text == f"number {n}"


def test_closer(whatsapp: World) -> None:
    picture = (Path(__file__).parents[1] / "tests/media/harbour.jpg").read_bytes()

    def reset() -> None:
        whatsapp.sandbox.reset()

    def used() -> None:
        for number in range(50):
            whatsapp.node.send.text(f"1202555{number:04}1", "hello")
        whatsapp.node.send.image(TO, whatsapp.media.upload(picture, "image/jpeg")).wait()

    def photo(n: int) -> Callable[[], None]:
        def run() -> None:
            whatsapp.node.send.image(TO, whatsapp.media.upload(picture + bytes([n]), "image/jpeg"))
            phone.wait_for("image")

        return run

    empty = [_ms(reset) for _ in range(ROUNDS)]
    full = []
    for _ in range(ROUNDS):
        used()
        full.append(_ms(reset))
    phone = whatsapp.phone(TO)
    photo(255)()
    trips = [_ms(photo(n)) for n in range(ROUNDS)]
    found = {"empty": empty, "full": full, "trip": trips}
    Path(os.environ["KIT_FIGURES"]).write_text(json.dumps({name: statistics.median(values) for name, values in found.items()}))


def _ms(run: Callable[[], None]) -> float:
    began = time.perf_counter()
    run()
    return (time.perf_counter() - began) * 1000
