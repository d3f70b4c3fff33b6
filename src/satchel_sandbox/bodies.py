"""Request bodies of the control API. What it does not know it refuses: a misspelt member would otherwise seem to work."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import UNSET, Meta, UnsetType

from .clock import duration
from .envelope import Mime
from .errors import Refusal, invalid

T = TypeVar("T")
Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\A[^\x00]*\Z")]  # no database takes a NUL


class Changes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What can be set on a phone."""

    name: Name | UnsetType = UNSET
    system: Literal["android", "iphone"] | UnsetType = UNSET
    locale: Annotated[str, Meta(pattern=r"\A[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*\Z")] | UnsetType = UNSET
    timezone: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    online: bool | UnsetType = UNSET
    auto_download: bool | UnsetType = UNSET
    read_receipts: bool | UnsetType = UNSET

    def columns(self) -> dict[str, object]:
        """Without `online`, which is more than a value."""
        return {name: value for name in COLUMNS if (value := getattr(self, name)) is not UNSET}


COLUMNS = ("name", "system", "locale", "timezone", "auto_download", "read_receipts")


class NewPhone(Changes, frozen=True, forbid_unknown_fields=True):
    number: str | UnsetType = UNSET


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one does with a phone. All but `do` and `message` concerns `send` and `react`; `file`: a name that `files` answered."""

    do: str
    message: str | None = None
    type: str | None = None
    file: str | None = None
    data: str | None = None
    text: Annotated[str, Meta(max_length=65536)] | None = None
    caption: Annotated[str, Meta(max_length=65536)] | None = None
    filename: Annotated[str, Meta(max_length=1000)] | None = None
    mime_type: Mime | None = None
    reply_to: str | None = None
    emoji: str | None = None
    to: str | None = None


class ClockMove(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    advance: str | None = None
    now: str | None = None
    rate: Any = None
    frozen: Any = None

    def seconds(self, now: float) -> float:
        """How far to go from `now`."""
        if self.rate is not None or self.frozen is not None:
            raise invalid("The clock always runs at the pace of wall time: rate and frozen are not supported, advance and now are.")
        if (self.advance is None) == (self.now is None):
            raise _how()
        if self.now is not None:
            return _time(self.now) - now
        if (far := duration(self.advance or "")) is None:
            raise invalid(f"{self.advance!r} is not a duration: write 90s, 15m or 14d.")
        return far


class Seed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    random_seed: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]


def read(body: bytes, shape: type[T]) -> T:
    try:
        found = msgspec.json.decode(body or b"{}", type=shape)
    except (msgspec.DecodeError, RecursionError) as error:
        raise invalid(f"The body does not fit: {error}.") from None
    if isinstance(found, Changes) and isinstance(found.timezone, str):
        _check_zone(found.timezone)
    return found


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refusal(400, "invalid", f"The time zone {name!r} is unknown: write one like Asia/Seoul.") from None


def _time(text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise _how() from None
    if at.tzinfo is None:
        raise _how()
    return at.timestamp()


def _how() -> Refusal:
    return invalid('Say how far the clock goes forward, {"advance": "15d"} with s, m, h or d, or to when: {"now": "2026-12-08T09:00:00Z"}.')
