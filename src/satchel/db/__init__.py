"""PORT Database: closures of plain SQL over one of two engines. The dialects live in the engines, the statements in a file per noun."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar

from satchel.domain.errors import DATABASE_DOWN, Later

P = ParamSpec("P")
T = TypeVar("T")
Row = tuple[Any, ...]


def bound(values: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Values for an `IN (…)`: the names to write there, and what they are bound to."""
    named = {f"v{number}": value for number, value in enumerate(values)}
    return ", ".join(f":{name}" for name in named), named


@dataclass(frozen=True)
class Config:
    """`url`: a PostgreSQL connection string, unused on SQLite. It may hold a password, so it never shows in a repr."""

    kind: Literal["sqlite", "postgres"] = "sqlite"
    url: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.url and self.kind == "sqlite":
            raise ValueError("url names a PostgreSQL and kind is sqlite: set SATCHEL_DATABASE__KIND=postgres, or unset the url")


class Tx(ABC):
    """One running transaction. SQL takes `:name` parameters; `:now` is the database's clock, in seconds since 1970.

    `{for_update}`, `{for_share}` and `{skip_locked}` become row locks where the engine has them. `woke` says that a lane was woken.
    """

    def __init__(self) -> None:
        self.woke = False

    @abstractmethod
    def all(self, sql: str, **values: Any) -> list[Row]:
        """Every row of the result, fetched."""

    @abstractmethod
    def run(self, sql: str, **values: Any) -> int:
        """Run a statement without a result; the number of rows it touched."""

    @abstractmethod
    def script(self, sql: str) -> None:
        """Run several statements without parameters (migrations)."""

    @abstractmethod
    def lock(self, key: int) -> None:
        """Keep every other transaction that asks for this key waiting until this one ends."""

    def one(self, sql: str, **values: Any) -> Row | None:
        """The first row, or None."""
        rows = self.all(sql, **values)
        return rows[0] if rows else None


class CommitUnknown(Later):
    """The connection broke during the commit: it may have happened or not. Undo nothing."""

    def __init__(self) -> None:
        super().__init__(DATABASE_DOWN, "The database went away during a commit; the outcome is unknown. Try again.", 1.0)


class Database(Protocol):
    """A closure holds SQL only, is synchronous, and may run again (deadlock, lost connection); what it raises rolls it back.

    Both calls raise `Later(DATABASE_DOWN)` when the database cannot be reached in time.
    """

    @property
    def dialect(self) -> Mapping[str, str]:
        """SQL that the engines write differently, by name."""

    async def write(self, fn: Callable[[Tx], T], durable: bool = True) -> T:
        """Run `fn` in a transaction and commit it. Not durable: a crash of the machine may undo it, never half of it."""

    async def read(self, fn: Callable[[Tx], T], alone: bool = False) -> T:
        """Run `fn` on one snapshot. `alone`: it is one statement, which needs no transaction around it."""

    def read_now(self, statement: Callable[Concatenate[Tx, P], T], *args: P.args, **given: P.kwargs) -> T | None:
        """What one statement finds, where it has to wait for nobody; None where it would: `read` tells."""

    async def wait(self, timeout: float) -> None:
        """Return when something may have been written since the last call, at the latest after `timeout` seconds. One caller a process."""

    async def close(self) -> None:
        """Finish what was handed in and let go of the database."""
