"""Media providers: whose credentials links are fetched with. One setting, a list in the order they were made; it holds secrets."""

from dataclasses import dataclass, field

import msgspec

from satchel.db import Tx, settings


@dataclass(frozen=True)
class Provider:
    """`authorization`: the header's value, which never shows in a repr; `hosts`: those it is sent to, empty for any."""

    name: str
    username: str = ""
    password: str = field(default="", repr=False)
    bearer: str = field(default="", repr=False)
    hosts: tuple[str, ...] = ()


def every(tx: Tx) -> list[Provider]:
    """All of them."""
    return msgspec.convert(settings.get(tx, settings.PROVIDERS) or [], list[Provider])


def find(tx: Tx, name: str) -> Provider | None:
    """One by its name."""
    return next((provider for provider in every(tx) if provider.name == name), None)


def is_known(tx: Tx, name: str) -> bool:
    """Whether there is one of this name."""
    return find(tx, name) is not None


def keep(tx: Tx, provider: Provider, by: str) -> None:
    """Add one, or put it in the place of an earlier one of the same name."""
    others = [one for one in every(tx) if one.name != provider.name]
    settings.put(tx, settings.PROVIDERS, msgspec.to_builtins([*others, provider]), by)


def drop(tx: Tx, name: str, by: str) -> bool:
    """Forget one; False when there is none of this name."""
    left = [one for one in every(tx) if one.name != name]
    known = is_known(tx, name)
    if known:
        settings.put(tx, settings.PROVIDERS, msgspec.to_builtins(left), by)
    return known
