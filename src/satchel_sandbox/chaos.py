"""Faults on demand: at a stage a share of what happens fails, or everything takes longer. Kept in memory; a reset ends it."""

import asyncio
import logging
import random
import secrets
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .clock import duration
from .errors import Refusal, invalid

log = logging.getLogger("sandbox.chaos")

StageName = Literal["upload", "dispatch", "download", "events"]
LONGEST = 60.0  # seconds of delay


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`fail`: the share that fails; `code`: the HTTP status it is answered; `delay`: wall time before everything at this stage."""

    fail: Annotated[float, Meta(ge=0, le=1)] = 0.0
    code: Annotated[int, Meta(ge=400, le=599)] | None = None
    delay: str | None = None

    @property
    def seconds(self) -> float:
        return duration(self.delay or "0") or 0.0


Stages = dict[StageName, Stage | None]
_decoder = msgspec.json.Decoder(Stages)


class Chaos:
    """upload and dispatch are doors, download is also what phones fetch, events are POSTs that never leave.

    With the same seed the same ones of a stage's requests fail, counted from the last `seed` or `set`.
    """

    def __init__(self) -> None:
        self.random_seed = secrets.randbelow(1 << 32)
        self.off()

    def off(self) -> None:
        self.set({})

    def set(self, stages: Stages) -> None:
        """Replaces what was set before."""
        self.stages: dict[StageName, Stage] = {name: stage for name, stage in stages.items() if stage is not None}
        self.seed(self.random_seed)

    def seed(self, number: int) -> None:
        """Throw the dice from the start again."""
        self.random_seed = number
        self._dice = {name: random.Random(f"{number}/{name}") for name in self.stages}

    async def strike(self, name: StageName) -> int | None:
        """Wait as long as this stage delays; the status to fail with, or None to go on."""
        stage = self.stages.get(name)
        if stage is None:
            return None
        fails = self._dice[name].random() < stage.fail
        if stage.seconds:
            await asyncio.sleep(stage.seconds)
        if not fails:
            return None
        log.info("chaos: %s fails", name)
        return stage.code or 503

    async def refuse(self, name: StageName) -> None:
        """The same for a door."""
        if (status := await self.strike(name)) is not None:
            raise Refusal(status, "chaos", f"Chaos at the stage {name}: PUT /sandbox/chaos with {{}} ends it.")


def parse(body: bytes) -> Stages:
    """The stages in a request body."""
    try:
        stages = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise invalid(f'Write chaos like {{"upload": {{"fail": 0.1, "code": 503, "delay": "2s"}}}}: {error}.') from None
    for name, stage in stages.items():
        if stage is None:
            continue
        if stage.delay is not None and (seconds := duration(stage.delay)) is not None and seconds > LONGEST:
            raise invalid(f"The delay {stage.delay!r} is longer than {LONGEST:.0f} s.")
        if stage.delay is not None and duration(stage.delay) is None:
            raise invalid(f"The delay {stage.delay!r} is no time: write 500ms, 2s or 1m.")
        if name == "events" and stage.code is not None:
            raise invalid("An upstream event that fails does not reach the node, so the stage events takes no code.")
    return stages
