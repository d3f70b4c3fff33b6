"""Blocks: what a phone shows of a conversation, top to bottom, as versioned JSON. Shapes only: `compose.py` says which blocks there are,
`bubbles.py` what stands in one. Every member is described in docs/reference/phone-blocks.md.
"""

from typing import Literal

import msgspec

VIEW = 1
"""The version of these shapes. Members may be added under one number; another number means that something else is read differently."""

Ticks = Literal["sent", "delivered", "read", "played"]


class Shown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a bubble tells of its media. `size`: plain bytes; `expires_at`: the end of the server's copy, RFC 3339."""

    id: str
    state: str
    mime_type: str
    size: int
    thumb: str | None = None
    expires_at: str | None = None
    reason: str | None = None


class Bubble(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"sender": "from"}):
    """One message. `at`: RFC 3339; `waveform`: 64 values of 0-100; `reaction`: the emoji that the phone has put under it."""

    kind: str
    id: str
    sender: str
    at: str
    text: str | None = None
    caption: str | None = None
    label: str | None = None
    label_cut: bool | None = None
    media: Shown | None = None
    waveform: list[int] | None = None
    reaction: str | None = None
    ticks: Ticks
    why: list[str]


class Album(msgspec.Struct, frozen=True, kw_only=True):
    """Images that are drawn as one grid; `more`: how many the last cell stands for, 0 when each has its own."""

    kind: Literal["album"] = "album"
    items: list[Bubble]
    more: int
    why: list[str]


class Date(msgspec.Struct, frozen=True, kw_only=True):
    """A date header; `date`: YYYY-MM-DD in the phone's time zone."""

    kind: Literal["date"] = "date"
    date: str
    why: list[str]


class Unread(msgspec.Struct, frozen=True, kw_only=True):
    """The unread divider; `count`: how many messages were unread when the chat was opened."""

    kind: Literal["unread"] = "unread"
    count: int
    why: list[str]


Block = Bubble | Album | Date | Unread
