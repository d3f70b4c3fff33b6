"""Coreapp: the background work. It meets Webapp only in the database and on the volume."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """`lease_ttl`: seconds after which the lane of a Coreapp that died or froze goes to another."""

    lease_ttl: float = 30.0

    def __post_init__(self) -> None:
        if not self.lease_ttl >= 0.5:
            raise ValueError("lease_ttl must be at least 0.5 seconds")
