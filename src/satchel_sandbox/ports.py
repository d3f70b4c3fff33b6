"""The three engines everything else is written against; `server.py` constructs them."""

from dataclasses import dataclass

from .outbox import Poster
from .store import Store
from .vault import Vault


@dataclass(frozen=True)
class Ports:
    """Rows, bytes, and the way to the node. A test may hand in wrapped ones to stop the process at a chosen call."""

    store: Store
    vault: Vault
    poster: Poster
