"""Draws a conversation in a terminal, from the blocks that the sandbox tells. Only the look: what stands where, the phone has decided.

What people wrote is untrusted: control characters never reach the terminal.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from rich import box
from rich.align import Align
from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from satchel.domain.quantities import shown_size

Block = dict[str, Any]
WIDEST = 64
"""Columns of the widest bubble; a narrow terminal has narrower ones."""
GRID = (2, 2)
CELL = 21  # columns
BARS = "▁▂▃▄▅▆▇█"
TICKS = {"sent": "✓", "delivered": "✓✓", "read": "✓✓", "played": "✓✓"}
HEARD = ("read", "played")
WORDS = {
    "queued": "… to be fetched",
    "downloading": "… on its way",
    "not_downloaded": "↓ tap to fetch",
    "requesting": "… asking the sender",
    "unavailable": "✗ no longer available",
}
"""What a cell or a bubble says instead of its media. It says nothing when the media is there."""
SIGNS = {"image": "▦ image", "video": "▶ video", "audio": "♪ audio", "sticker": "☺ sticker", "template": "≡ template", "unsupported": "?"}
OFFICE = "VND.OPENXMLFORMATS-OFFICEDOCUMENT"
SORTS = {
    "PLAIN": "TXT",
    "MARKDOWN": "MD",
    "MSWORD": "DOC",
    "VND.MS-EXCEL": "XLS",
    "VND.MS-POWERPOINT": "PPT",
    f"{OFFICE}.WORDPROCESSINGML.DOCUMENT": "DOCX",
    f"{OFFICE}.SPREADSHEETML.SHEET": "XLSX",
    f"{OFFICE}.PRESENTATIONML.PRESENTATION": "PPTX",
}
"""Of MIME types whose name is not what people call such a file."""
STYLES = ((r"(?<![\w*])\*[^*\n]+\*(?![\w*])", "bold"), (r"(?<!\w)_[^_\n]+_(?!\w)", "italic"), (r"(?<![\w~])~[^~\n]+~(?![\w~])", "strike"))


@dataclass(frozen=True)
class Canvas:
    """What is drawn on: columns, whose phone it is, its time zone, and whether reasons are told."""

    width: int
    phone: str
    zone: tzinfo
    why: bool


def draw(said: Block, console: Console, why: bool = False) -> None:
    """Print a conversation, the oldest first; `said`: the sandbox's answer, view 1."""
    canvas = Canvas(min(WIDEST, max(20, console.width * 4 // 5)), said["phone"], ZoneInfo(said["timezone"]), why)
    business, is_open = said["conversation"]["business"], said["conversation"]["open"]
    title = (said["phone"], said["system"], said["timezone"], f"chat with {plain(business)}: {'open' if is_open else 'closed'}")
    console.print(Text(" · ".join(title), style="dim"))
    for block in said["blocks"]:
        console.print(*_block(block, canvas), sep="\n")


def plain(text: str) -> str:
    """Text that does nothing to a terminal but stand there."""
    return "".join(one if one == "\n" or unicodedata.category(one) != "Cc" else " " if one == "\t" else "\ufffd" for one in text)


def _block(block: Block, canvas: Canvas) -> Iterator[RenderableType]:
    match block["kind"]:
        case "date":
            yield Align.center(Text(f"╴ {_day(block['date'])} ╶"))
        case "unread":
            yield Rule(f"{block['count']} unread message{'' if block['count'] == 1 else 's'}", style="green")
        case "album":
            yield from _sided(_album(block, canvas), block["items"][0], _span(block["items"]), canvas)
        case _:
            yield from _sided(_bubble(block, canvas), block, block["id"], canvas)
    if canvas.why:
        yield from (_indented(Text(f"why: {plain(reason)}", style="dim italic")) for reason in block["why"])


def _sided(drawn: RenderableType, message: Block, ids: str, canvas: Canvas) -> Iterator[RenderableType]:
    """What the phone itself sent stands on the right."""
    parts: tuple[RenderableType, ...] = (Constrain(drawn, canvas.width), _indented(Text(plain(ids), style="dim")))
    yield from (Align.right(part) for part in parts) if message["from"] == canvas.phone else parts


def _indented(drawn: RenderableType) -> RenderableType:
    return Padding(drawn, (0, 0, 0, 2), expand=False)


def _span(items: list[Block]) -> str:
    return f"{items[0]['id']} … {items[-1]['id']}"


def _bubble(message: Block, canvas: Canvas) -> RenderableType:
    bare = message["kind"] in ("sticker", "unsupported")
    foot = Text(_foot(message, canvas), style="blue" if message["ticks"] in HEARD else "dim", justify="left" if bare else "right")
    content = Group(*_content(message), foot)
    return _indented(content) if bare else Panel(content, box=box.ROUNDED, expand=False)


def _content(message: Block) -> Iterator[Text]:
    kind, media = message["kind"], message.get("media")
    match kind:
        case "document":
            yield Text.assemble((f"[{_sort(message)}] ", "bold"), plain(message["label"]))
        case "voice":
            yield _voice(message)
        case "text":
            yield _styled(message["text"])
        case _:
            yield Text(" ".join(part for part in (SIGNS.get(kind, kind), plain(message.get("label", ""))) if part), style="bold")
    if message.get("caption"):
        yield _styled(message["caption"])
    if media:
        yield Text(f"{plain(media['mime_type'])}  {shown_size(media['size'])}  {media['state']}", style="dim")
        if media["state"] in WORDS:
            yield Text(": ".join(plain(part) for part in (WORDS[media["state"]], media.get("reason")) if part), style="yellow")


def _styled(text: str) -> Text:
    """With the marks for bold, italic and struck-out text, which stay."""
    styled = Text(plain(text))
    for pattern, style in STYLES:
        styled.highlight_regex(re.compile(pattern), style)
    return styled


def _voice(message: Block) -> Text:
    """A dot while nobody has played it; its waveform, two values in a column."""
    values = message.get("waveform") or []
    bars = "".join(BARS[min(len(BARS) - 1, max(pair) * len(BARS) // 100)] for pair in zip(values[::2], values[1::2], strict=False))
    dot = "" if message["ticks"] == "played" else "● "
    return Text.assemble((dot, "blue"), " ".join(part for part in ("▶", bars, "voice note") if part))


def _sort(message: Block) -> str:
    """What an icon would show: PDF, TXT, or FILE."""
    sort = ((message.get("media") or {}).get("mime_type") or "").partition(";")[0].rpartition("/")[2].upper()
    return SORTS.get(sort) or (sort if re.fullmatch(r"[A-Z0-9]{1,5}", sort) else "FILE")


def _foot(message: Block, canvas: Canvas) -> str:
    at = datetime.fromisoformat(message["at"]).astimezone(canvas.zone)
    emoji = f"{plain(message['reaction'])} " if message.get("reaction") else ""
    return f"{emoji}{at:%H:%M} {TICKS[message['ticks']]} {message['ticks']}"


def _album(album: Block, canvas: Canvas) -> RenderableType:
    rows, columns = GRID
    table = Table(box=box.ROUNDED, show_header=False, show_lines=True)
    for _ in range(columns):
        table.add_column(justify="center", width=min(CELL, canvas.width // columns - 3))
    cells = [_cell(item, number) for number, item in enumerate(album["items"][: rows * columns], 1)]
    if album["more"]:
        cells[-1] = Text(f"\n+{album['more']}\n", style="bold")
    for row in range(rows):
        table.add_row(*cells[row * columns : (row + 1) * columns])
    size = sum(item["media"]["size"] for item in album["items"] if item.get("media"))
    told = Text(f"album of {len(album['items'])} images  {shown_size(size)}  {_foot(album['items'][-1], canvas)}")
    return Group(table, _indented(told))


def _cell(item: Block, number: int) -> Text:
    state = (item.get("media") or {}).get("state", "")
    return Text(f"\n{WORDS.get(state, f'▦ {number}')}\n", style="yellow" if state in WORDS else "")


def _day(date: str) -> str:
    day = datetime.fromisoformat(date)
    return f"{day.day} {day:%B} {day.year}"
