"""A person sends on what a phone has received. Media go on as they are: same key, same address, and the same sender to ask for them."""

import secrets

import msgspec

from . import delivery, messages, phone
from .errors import Refusal
from .messages import Message
from .store import Tx


def forward(tx: Tx, number: str, message_id: str, to: str, now: float) -> Message:
    """The message as it is for the other phone. A phone that is offline forwards nothing."""
    if not phone.get(tx, number).online:
        raise Refusal(409, "offline", f"The phone {number} is offline: bring it online first.")
    found = messages.one(tx, number, message_id)
    if to == number:
        raise Refusal(400, "invalid", "A phone does not forward to itself: name another number.")
    sent = msgspec.structs.replace(found.envelope, id=f"FW{secrets.token_hex(9)}", to=to, sender=number)
    return delivery.forward(tx, sent, found.sent_as, now)
