"""Webapp: the HTTP face. Stateless; several may run beside each other."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from satchel.flows import Ports
    from satchel.webapp.auth import Gate


@dataclass(frozen=True)
class Config:
    """`api_key` and `token_key` are secrets and never show in a repr; `created`: the HTTP status of what was made.

    `trusted_proxies`: addresses and networks; what they say in X-Forwarded-For is believed.
    """

    api_key: str = field(default="", repr=False)
    token_key: str = field(default="", repr=False)
    created: Literal[200, 201] = 201
    rate_limits: bool = False
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: tuple[str, ...] = field(default=(), metadata={"unit": "list"})

    def __post_init__(self) -> None:
        if self.api_key and not (12 <= len(self.api_key) <= 128 and self.api_key.isascii() and self.api_key.isprintable()):
            raise ValueError("api_key must have 12 to 128 printable characters")
        if self.token_key and len(self.token_key) < 32:
            raise ValueError("token_key must have at least 32 characters")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together: set both or neither")
        if self.trusted_proxies:
            _check_proxies(self.trusted_proxies)


def _check_proxies(given: tuple[str, ...]) -> None:
    from satchel.webapp.callers import networks

    try:
        networks(given)
    except ValueError as error:
        raise ValueError(f"trusted_proxies must be addresses and networks such as 127.0.0.1 or 10.0.0.0/8, and {error}") from None


@dataclass(frozen=True)
class Webapp:
    """What every endpoint is made with. `name`: of this instance, the same after a restart."""

    ports: "Ports"
    gate: "Gate"
    config: Config
    name: str
