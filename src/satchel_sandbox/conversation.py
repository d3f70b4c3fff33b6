"""Conversations of a phone: one per business that wrote to it, told by its messages. How a chat is drawn is not told here."""

from dataclasses import dataclass

from . import phone
from .errors import Refusal
from .store import Tx


@dataclass(frozen=True)
class Conversation:
    """`latest`: the id of its newest message; `open`: somebody looks at it."""

    business: str
    messages: int
    unread: int
    latest: str
    open: bool


def listing(tx: Tx, number: str) -> list[Conversation]:
    """The one with the newest message first."""
    owner = phone.find(tx, number)
    rows = tx.execute(
        "SELECT sender, count(*), count(*) - count(read_at), max(seq), id FROM message"
        " WHERE phone = ? AND state NOT IN ('server', 'lost') GROUP BY sender ORDER BY max(seq) DESC",
        (number,),
    )
    return [
        Conversation(business, count, unread, latest, owner is not None and owner.chat == business)
        for business, count, unread, _, latest in rows
    ]


def one(tx: Tx, number: str, business: str) -> Conversation:
    """The conversation with a business, or the `latest`."""
    for found in listing(tx, number):
        if business in (found.business, "latest"):
            return found
    raise Refusal(404, "unknown_conversation", f"The phone {number} has no conversation with {business!r}: list its conversations.")
