"""What befalls a world: each trouble has a beginning and an end, several may last at once, no two with the same target."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from .world import Host, World

KINDS = ("kills", "stalls", "fills", "unmounts")


@dataclass(frozen=True)
class Trouble:
    """`longest`: seconds it may last."""

    kind: str
    target: str
    begin: Callable[[], None]
    end: Callable[[], None]
    longest: float


@dataclass(frozen=True)
class Open:
    """A trouble that lasts. `until`: on the monotonic clock."""

    trouble: Trouble
    until: float


class Chaos:
    """Strikes every second or so in a thread of its own, until it is told to stop; then everything is made whole.

    `seed` decides what befalls whom for how long. `story`: what happened, in lines.
    """

    def __init__(self, world: World, seed: int, pause: float = 0.9) -> None:
        self.counts: Counter[str] = Counter()
        self.story: list[str] = []
        self._world, self._random, self._pause = world, random.Random(seed), pause
        self._troubles = troubles(world, self._random)
        self._open: dict[str, Open] = {}
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="chaos")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End all trouble. Raises what went wrong in the making of it."""
        self._over.set()
        self._thread.join(60)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._over.wait(self._random.uniform(0.2, 2 * self._pause - 0.2)):
                self._heal(time.monotonic())
                self._strike()
        except BaseException as error:  # noqa: BLE001 - told by stop()
            self._error = error
        finally:
            self._heal(float("inf"))

    def _strike(self) -> None:
        possible = [one for one in self._troubles if one.target not in self._open]
        if not possible:
            return
        trouble = self._random.choice(possible)
        length = self._random.uniform(0.1, trouble.longest)
        self._note(f"{trouble.kind} {trouble.target} for {length:.1f} s")
        trouble.begin()
        self._open[trouble.target] = Open(trouble, time.monotonic() + length)
        self.counts[trouble.kind] += 1

    def _heal(self, now: float) -> None:
        for one in sorted(self._open.values(), key=lambda one: one.until):
            if one.until <= now:
                one.trouble.end()
                del self._open[one.trouble.target]
        if "postgres" not in self._open:
            for said in self._world.revive(except_for=set(self._open)):
                self._note(said)

    def _note(self, said: str) -> None:
        self.story.append(f"{time.monotonic() - self._began:6.1f} {said}")


def troubles(world: World, dice: random.Random) -> list[Trouble]:
    """All that may befall it, the more frequent more than once."""
    found = [one for part in world.parts for one in _of_a_part(world, part)]
    found += [_unmount(host, number) for number, host in enumerate(world.hosts)]
    found += [_fill(world, dice)] * 2
    return found + (_of_the_database(world) if world.cluster else [])


def _of_a_part(world: World, part: str) -> list[Trouble]:
    return [
        Trouble("kills", part, partial(world.kill, part), partial(world.start, part), 1.0),
        Trouble("stalls", part, partial(world.freeze, part), partial(world.thaw, part), 4.0),  # shorter and longer than a lease
    ]


def _of_the_database(world: World) -> list[Trouble]:
    return [
        Trouble("kills", "postgres", world.kill_database, world.start_database, 1.5),
        Trouble("stalls", "postgres", world.freeze_database, world.thaw_database, 4.0),
    ]


def _unmount(host: Host, number: int) -> Trouble:
    return Trouble("unmounts", f"volume of host {number}", host.mount.take_away, host.mount.put_back, 4.0)


def _fill(world: World, dice: random.Random) -> Trouble:
    """To nothing, or to little more than nothing."""

    def fill() -> None:
        world.disk.fill_to(dice.choice([0, 40_000, 1 << 20, 3 << 20]))

    return Trouble("fills", "disk", fill, world.disk.empty, 4.0)
