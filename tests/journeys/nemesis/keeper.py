"""Who looks after the node while everything goes on."""

import json
from typing import Any

from satchel.cli import say

from .clients import Client

PATIENT = 60.0
"""Seconds within which a command must have ended, whatever befalls it."""
AWAY = "mount it"
"""What stands in the way of commands, besides the database: a full disk does not."""
STOOD_STILL = "stood still for too long"
"""What a gc says that was frozen, or lacked its database, for longer than a lease."""


class Keeper(Client):
    """Asks for gc, at the door and by command, and has rows held against files; some of the commands are killed."""

    def job(self) -> None:
        self.dice.choice([self._ask, self._collect, self._check, self._check])()

    def _ask(self) -> None:
        answer = self.call("PUT", "/v1/services/media/gc")
        if answer.status_code == 200:
            self.ledger.count("gc asked for")
        else:
            self.ledger.accuse(f"gc is answered {answer.status_code} {answer.text}")

    def _collect(self) -> None:
        if self._command("gc", "--classes", "A,B,C,D,E", "--yes") is not None:
            self.ledger.count("gc by command")

    def _check(self) -> None:
        """Nobody works by hand here, so there is nothing to be found."""
        found = self._command("fsck", "--repair", "--remove-strays", "--yes")
        if found is not None:
            self.ledger.count("checks")
            if found["problems"] or found["lost"]:
                self.ledger.accuse(f"fsck found {found}")

    def _command(self, *words: str) -> Any:
        """What it said; None where it was killed, or something stood in its way."""
        killed = self.dice.random() < 0.3
        within = self.dice.uniform(0.5, 3.0) if killed else PATIENT
        done = self.world.command(self.dice.choice(["web", "web-2"]), ["volume", *words, "--json"], within)
        if done is not None and done.returncode in (0, say.PROBLEMS):
            return json.loads(done.stdout)
        if done is None:
            self.ledger.count("commands killed")
            if not killed:
                self.ledger.accuse(f"{words} took longer than {within:g} s")
        elif done.returncode in (say.REFUSED, say.UNREACHABLE) or AWAY in done.stderr or STOOD_STILL in done.stderr:
            self.ledger.count(f"commands refused: {say.EXIT_CODES[done.returncode]}")
        else:
            self.ledger.accuse(f"{words} ended with {done.returncode}: {done.stderr[-1500:]}")
        return None
