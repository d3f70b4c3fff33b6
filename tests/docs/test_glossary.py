"""One noun, one word: every word of the glossary is used, and what it is not called is not written anywhere in the docs."""

import re
from pathlib import Path

import pytest

from .test_docs import PAGES, ROOT, rows

GLOSSARY = "docs/reference/glossary.md"
HISTORY = "adr"
NEVER = ("asset", "attachment", "resource", "manager", "helper", "util", "utility")
ONLY_AS = {"blob": "encrypted blob", "event": "upstream event"}
"""Short for the words beside them, on a page that says these."""
OF_OTHERS = ("event loop", "download or events")
CORE = {"media volume", "post-processing", "album", "caption", "upload", "unavailable", "retention", "gc", "media id", "conversation"}
"""What a tutorial cannot do without."""
WORDS = [row for row in rows(GLOSSARY) if len(row) == 4 and row[0] != "word"]
ENGLISH = [page for page in PAGES if HISTORY not in page.parts and "ko" not in page.parts and not page.name.endswith(".ko.md")]


def prose(page: Path) -> str:
    """A page without what is quoted: code, addresses, and what our own tables say a word is not."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```|<!--.*?-->|^    [^\n]*$|`[^`\n]*`|\]\([^)]*\)", " ", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"\s+", " ", text).lower()


def says(text: str, word: str) -> bool:
    return re.search(rf"\b{re.escape(word.lower())}(s|es)?\b", text) is not None


def test_every_word_is_used() -> None:
    text = " ".join(prose(page) for page in ENGLISH if page != ROOT / GLOSSARY)
    assert [row[0] for row in WORDS if not says(text, row[0])] == []


@pytest.mark.parametrize("page", ENGLISH, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_other_word_is_used(page: Path) -> None:
    text = prose(page) if page != ROOT / GLOSSARY else ""
    text = text.replace("resource not found", "").replace("resource already exists", "")  # titles of On-Premises
    others = [word for row in WORDS for word in re.split(", ", row[2]) if word]
    assert [word for word in (*NEVER, *others) if says(text, word)] == []
    for name in OF_OTHERS:
        text = text.replace(name, "")
    assert [word for word, whole in ONLY_AS.items() if says(text, word) and not says(text, whole)] == []


def test_the_korean_words_are_used_in_korean() -> None:
    pages = [page for page in PAGES if page not in ENGLISH and HISTORY not in page.parts]
    text = " ".join(page.read_text(encoding="utf-8") for page in pages)
    assert [row[3] for row in WORDS if row[3] not in text and row[0] in CORE] == []
