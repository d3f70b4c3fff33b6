"""A conversation's blocks as lines of plain text, for the output of failed tests."""

from collections.abc import Sequence
from typing import Any

Block = dict[str, Any]
TICKS = {"sent": "✓", "delivered": "✓✓", "read": "✓✓ read", "played": "✓✓ played"}


def draw(blocks: Sequence[Block], why: bool = False) -> list[str]:
    """A line for each block, more for an album. `why`: say which rule made it so."""
    return [line for block in blocks for line in _lines(block, why)] or ["(nothing)"]


def _lines(block: Block, why: bool) -> list[str]:
    reasons = f"   — {'; '.join(block['why'])}" if why and block.get("why") else ""
    match block["kind"]:
        case "date":
            return [f"──── {block['date']} ────{reasons}"]
        case "unread":
            return [f"──── {block['count']} unread ────{reasons}"]
        case "album":
            items = [f"  {bubble(one)}" for one in block["items"]]
            return [f"album of {len(items)}{reasons}", *items]
    return [f"{bubble(block)}{reasons}"]


def bubble(block: Block) -> str:
    """One message: its kind, what stands there, its media's state and its ticks."""
    said = block.get("text") or block.get("label") or block.get("caption")
    media = block.get("media") or {}
    reason = f" ({media['reason']})" if media.get("reason") else ""
    parts = (f"[{block['kind']}]", repr(said) if said else "", f"{media.get('state', '')}{reason}", TICKS.get(block.get("ticks", ""), ""))
    return "  ".join(part for part in (*parts, str(block["id"])) if part)
