"""A conversation as it is drawn in a terminal."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from satchel.cli.drawing import WIDEST, draw
from satchel.cli.sandbox_show import only

PHONE, BUSINESS = "12025550111", "12025550100"
Block = dict[str, Any]


def bubble(kind: str = "image", id_: str = "m1", state: str = "downloaded", mime: str = "image/jpeg", **members: Any) -> Block:
    media = {"media": {"id": "x", "state": state, "mime_type": mime, "size": 1 << 20}} if kind not in ("text", "unsupported") else {}
    told = {"kind": kind, "id": id_, "from": BUSINESS, "at": "2026-11-24T00:00:00.000Z", "ticks": "read", "why": ["because"]}
    return {**told, **media, **members}


def drawn(*blocks: Block, width: int = 80, why: bool = False, **console: Any) -> str:
    out = io.StringIO()
    conversation = {"business": BUSINESS, "open": True}
    said = {"phone": PHONE, "system": "android", "timezone": "Asia/Seoul", "conversation": conversation, "blocks": list(blocks)}
    draw(said, Console(file=out, width=width, highlight=False, markup=False, emoji=False, **console), why)
    return out.getvalue()


def lines(text: str) -> list[str]:
    """Without the first, which says whose chat it is, and without blanks at the end."""
    return [line.rstrip() for line in text.splitlines()[1:]]


def test_a_conversation_is_drawn_as_its_blocks() -> None:
    text = drawn(
        {"kind": "date", "date": "2026-11-24", "why": ["x"]},
        bubble("text", text="안녕하세요 👋"),
        {"kind": "unread", "count": 1, "why": ["x"]},
        bubble("document", "m2", mime="application/pdf", label="10월 이용 명세…", label_cut=True, ticks="delivered"),
    )
    assert text.splitlines()[0] == f"{PHONE} · android · Asia/Seoul · chat with {BUSINESS}: open"
    assert lines(text) == [
        f"{'':30}╴ 24 November 2026 ╶",
        "╭───────────────╮",
        "│ 안녕하세요 👋 │",
        "│ 09:00 ✓✓ read │",
        "╰───────────────╯",
        "  m1",
        " 1 unread message ".center(80, "─"),
        "╭────────────────────────────────────╮",
        "│ [PDF] 10월 이용 명세…              │",
        "│ application/pdf  1 MiB  downloaded │",
        "│                 09:00 ✓✓ delivered │",
        "╰────────────────────────────────────╯",
        "  m2",
    ]


@pytest.mark.parametrize(
    ("mime", "sort"),
    [("text/plain; charset=utf-8", "TXT"), ("text/markdown", "MD"), ("application/zip", "ZIP"), ("application/octet-stream", "FILE")],
)
def test_a_card_bears_what_people_call_such_a_file(mime: str, sort: str) -> None:
    assert f"│ [{sort}] note" in drawn(bubble("document", mime=mime, label="note"))


def test_p23_an_album_is_a_grid_whose_last_cell_stands_for_the_rest() -> None:
    images = [bubble(id_=f"m{n}", state="unavailable" if n == 2 else "downloaded") for n in range(1, 7)]
    assert lines(drawn({"kind": "album", "items": images, "more": 3, "why": ["x"]})) == [
        "╭───────────────────────┬───────────────────────╮",
        "│                       │                       │",
        "│          ▦ 1          │ ✗ no longer available │",
        "│                       │                       │",
        "├───────────────────────┼───────────────────────┤",
        "│                       │                       │",
        "│          ▦ 3          │          +3           │",
        "│                       │                       │",
        "╰───────────────────────┴───────────────────────╯",
        "  album of 6 images  6 MiB  09:00 ✓✓ read",
        "  m1 … m6",
    ]
    four = drawn({"kind": "album", "items": images[:4], "more": 0, "why": ["x"]})
    assert "▦ 4" in four and "+" not in four


def test_p21_a_caption_stands_below_its_image_in_full() -> None:
    caption = "The harbour on the first morning after the storm, as one sees it from the quay. " * 3
    shown = " ".join(line.strip("│ ") for line in lines(drawn(bubble(caption=caption.strip()))))
    assert caption.strip() in shown


def test_a_bubble_leaves_room_beside_it() -> None:
    long = bubble("text", text="word " * 100)
    assert max(map(cell_len, lines(drawn(long, width=50)))) == 40
    assert max(map(cell_len, lines(drawn(long, width=200)))) == WIDEST


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("queued", "to be fetched"),
        ("downloading", "on its way"),
        ("not_downloaded", "tap to fetch"),
        ("requesting", "asking the sender"),
        ("unavailable", "no longer available"),
    ],
)
def test_media_that_is_not_there_says_so(state: str, said: str) -> None:
    assert said in drawn(bubble(state=state))


def test_a_voice_note_has_its_waveform_and_a_dot_until_it_was_played() -> None:
    note = bubble("voice", mime="audio/ogg", waveform=[0, 0, 50, 20, 100, 100] + [0] * 58)
    assert "● ▶ ▁▅█▁▁" in drawn(note)
    assert "● ▶ voice note" in drawn({name: value for name, value in note.items() if name != "waveform"})
    assert "●" not in drawn({**note, "ticks": "played"})


def test_a_sticker_has_no_bubble_and_what_the_phone_sent_stands_on_the_right() -> None:
    assert "╭" not in drawn(bubble("sticker", mime="image/webp"))
    mine = lines(drawn(bubble("video", **{"from": PHONE})))
    assert all(line.startswith(" ") and len(line) >= 75 for line in mine)
    assert "location" in drawn(bubble("unsupported", label="location"))


@pytest.mark.parametrize(
    ("ticks", "mark"), [("sent", "✓ sent"), ("delivered", "✓✓ delivered"), ("read", "✓✓ read"), ("played", "✓✓ played")]
)
def test_ticks(ticks: str, mark: str) -> None:
    assert f"09:00 {mark}" in drawn(bubble(ticks=ticks))


def test_reasons_are_told_when_asked_for() -> None:
    assert "why: because" in drawn(bubble(), why=True)
    assert "because" not in drawn(bubble())


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b" not in drawn(bubble("text", text="*x*"))
    assert "\x1b[1m*x*" in drawn(bubble("text", text="*x*"), force_terminal=True)
    assert "\x1b[34m" in drawn(bubble(), force_terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in drawn(bubble(), force_terminal=True)


WRITTEN = st.text(st.sampled_from("aé 한국어中👋🏽👨‍👩‍👧🇰🇷\u200d\ufe0f\n\t*_~[bold]/\\") | st.characters(codec="utf-8"), max_size=80)


@given(WRITTEN, st.integers(24, 120), st.sampled_from([PHONE, BUSINESS]))
def test_no_line_is_wider_than_the_terminal_and_nothing_written_moves_it(text: str, width: int, sender: str) -> None:
    given = [
        bubble("text", text=text, **{"from": sender}),
        bubble(caption=text or None, **{"from": sender}),
        bubble("document", label=text, label_cut=False),
    ]
    shown = drawn(*given, width=width)
    assert all(cell_len(line) <= width for line in shown.splitlines())
    assert not any((ord(one) < 32 and one != "\n") or 127 <= ord(one) < 160 for one in shown)


def test_only_later_messages_keep_their_date_and_their_divider() -> None:
    date, unread = {"kind": "date", "date": "2026-11-24"}, {"kind": "unread", "count": 2}
    one, two, three = (bubble(id_=f"m{n}") for n in (1, 2, 3))
    album = {"kind": "album", "items": [two, three], "more": 0}
    assert only([date, one, unread, two, three], {"m3"}) == [date, three]
    assert only([date, one, unread, two, three], {"m2", "m3"}) == [date, unread, two, three]
    assert only([date, one, unread, album], {"m3"}) == [date, unread, album]
    assert only([date, one], {"m3"}) == []
