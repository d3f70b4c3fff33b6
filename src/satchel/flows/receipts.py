"""The business has read a message: told to the network, whose user sees it."""

from satchel.db import messages as rows
from satchel.domain.errors import MESSAGE_UNKNOWN, Fault
from satchel.flows import Ports
from satchel.upstream import Receipts


async def mark_read(ports: Ports, message_id: str) -> None:
    """Mark a received message as read; again changes nothing. Raises `Fault(MESSAGE_UNKNOWN)`, and `Later` while the network is away."""
    wire_id = await ports.db.read(lambda tx: rows.received(tx, message_id))
    if wire_id is None:
        raise Fault(MESSAGE_UNKNOWN, f"No message {message_id[:64]} was received here: give the id that its callback told.")
    if isinstance(ports.upstream, Receipts):
        await ports.upstream.mark_read(wire_id)
