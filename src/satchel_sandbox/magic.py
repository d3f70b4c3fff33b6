"""Numbers of the fiction range that behave in a way of their own, without any call to the control API (1202555 + four digits)."""

from dataclasses import dataclass

DAY = 86400.0


@dataclass(frozen=True)
class Habits:
    """How a number behaves, as far as it differs from a phone that is online and fetches everything. Times: seconds of network time."""

    on_network: bool = True
    takes_media: bool = True
    rate_limited: bool = False
    comes_online: bool = True
    reads: bool = False  # at once, whatever arrives
    blocked: bool = False
    read_receipts: bool = True
    hop: float = 0.0  # each step takes so long
    fetches_after: float = 0.0  # media is left on the server for so long
    echoes: bool = False  # each image is answered with the same image


USUAL = Habits()
MAGIC = {
    "12025550101": Habits(reads=True),
    "12025550102": Habits(comes_online=False),
    "12025550103": Habits(on_network=False),
    "12025550104": Habits(takes_media=False),
    "12025550105": Habits(fetches_after=15 * DAY),
    "12025550106": Habits(blocked=True),
    "12025550107": Habits(hop=30.0),
    "12025550108": Habits(echoes=True),
    "12025550109": Habits(read_receipts=False),
    "12025550110": Habits(rate_limited=True),
}
ECHOES = tuple(number for number, usual in MAGIC.items() if usual.echoes)


def habits(number: str) -> Habits:
    return MAGIC.get(number, USUAL)
