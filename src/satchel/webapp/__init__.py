"""Webapp: the HTTP face. Stateless; several may run beside each other."""

from dataclasses import dataclass

from satchel.flows import Ports
from satchel.webapp.auth import Gate


@dataclass(frozen=True)
class Webapp:
    """What every endpoint is made with."""

    ports: Ports
    gate: Gate
