"""Conversations of a phone: one per business that wrote to it, told by its messages; opened and left by a person, never by looking.

Which blocks a conversation is shown as is `compose.py`'s. How far it was read (`read_upto`) stands in the messages, as their `read_at`.
"""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from . import copies, messages, mine, phone
from .blocks import Block, Bubble
from .bubbles import bubble
from .compose import Visit, compose
from .errors import Refusal
from .messages import Message
from .mine import Mine
from .phone import ANY_CHAT, Phone
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


def enter(tx: Tx, owner: Phone) -> str:
    """Open the chat with whoever wrote last, or will write first; its business. One that is open already stays as it was opened."""
    newest = next(messages.newest_first(tx, owner.number), None)
    business = newest.envelope.sender if newest else ANY_CHAT
    if owner.chat != business:
        _note(tx, owner.number, business)
        phone.change(tx, owner.number, {"chat": business})
    return business


def leave(tx: Tx, number: str) -> None:
    """The divider goes, and the next visit groups what came during this one."""
    tx.execute("DELETE FROM visit WHERE phone = ?", (number,))
    phone.change(tx, number, {"chat": None})


def blocks(tx: Tx, owner: Phone, business: str, system: str, under_way: set[int]) -> list[Block]:
    """What the phone shows of a conversation if it were a `system`; a chat that is closed, as the next visit would show it.

    `under_way`: the seqs of messages whose media is on its way right now.
    """
    found = messages.of_conversation(tx, owner.number, business)
    sent, emoji = mine.all_of(tx, owner.number), mine.reactions(tx, owner.number)
    drawn = [_marked(bubble(one, system, _state(one, under_way), _ends(tx, one)), sent.get(one.seq), emoji.get(one.id)) for one in found]
    return compose(drawn, ZoneInfo(owner.timezone), _visit(tx, owner, business, found))


def _marked(drawn: Bubble, sent: Mine | None, emoji: str | None) -> Bubble:
    """With the ticks of what the phone has sent, and its emoji."""
    return replace(drawn, ticks=sent.ticks if sent else drawn.ticks, reaction=emoji)


def _note(tx: Tx, number: str, business: str) -> None:
    """Put down what a chat is like as it is opened."""
    tx.execute("DELETE FROM visit WHERE phone = ?", (number,))
    if found := messages.of_conversation(tx, number, business):
        unread = [message.seq for message in found if message.read_at is None]
        values = (number, business, unread[0] if unread else None, len(unread), found[-1].seq)
        tx.execute("INSERT INTO visit (phone, business, divider_at, unread, horizon) VALUES (?, ?, ?, ?, ?)", values)


def _visit(tx: Tx, owner: Phone, business: str, found: list[Message]) -> Visit:
    if owner.chat != business:
        unread = [message.id for message in found if message.read_at is None]
        return Visit(False, unread[0] if unread else None, len(unread))
    row = tx.execute("SELECT divider_at, unread, horizon FROM visit WHERE phone = ? AND business = ?", (owner.number, business)).fetchone()
    if row is None:
        return Visit(True)
    ids = {message.seq: message.id for message in found}
    return Visit(True, ids.get(row[0]), row[1], ids.get(row[2]))


def _state(message: Message, under_way: set[int]) -> str:
    return "downloading" if message.state == "queued" and message.seq in under_way else message.state


def _ends(tx: Tx, message: Message) -> float | None:
    media = message.envelope.media
    return copies.ends(tx, media.direct_path) if media else None
