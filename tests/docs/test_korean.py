"""The Korean pages say what the English ones say: the same code, the same sections, links back and forth, the product's Korean words."""

import re
from pathlib import Path

import pytest

from .test_docs import ROOT

PAIRS = {
    "README.md": "README.ko.md",
    "docs/tutorial/first-photo.md": "docs/ko/tutorial/first-photo.md",
    "docs/tutorial/test-your-integration.md": "docs/ko/tutorial/test-your-integration.md",
}
NOT_KOREAN = re.compile(r"검색|앨범|비디오|첨부|아웃바운드|인바운드|리텐션|설명문|해요[.)]|이에요|하세요")
"""Words that other products use for ours, and endings of another style."""


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def code(page: str) -> list[str]:
    """The lines that are fenced or set in."""
    inside, found = False, []
    for line in read(page).splitlines():
        fence = line.startswith("```")
        if inside or fence or line.startswith("    "):
            found.append(line)
        inside ^= fence
    return found


@pytest.mark.parametrize("english", PAIRS)
def test_the_code_is_the_same(english: str) -> None:
    assert code(PAIRS[english]) == code(english) != []


@pytest.mark.parametrize("english", PAIRS)
def test_the_sections_are_the_same(english: str) -> None:
    levels = [[len(mark) for mark in re.findall(r"^(#+) ", read(page), re.MULTILINE)] for page in (english, PAIRS[english])]
    assert levels[0] == levels[1]


@pytest.mark.parametrize("english", PAIRS)
def test_each_links_to_the_other(english: str) -> None:
    for here, there in ((english, PAIRS[english]), (PAIRS[english], english)):
        linked = {((ROOT / here).parent / target).resolve() for target in re.findall(r"\]\(([^)#]+)", read(here)) if "//" not in target}
        assert (ROOT / there).resolve() in linked, here


@pytest.mark.parametrize("page", sorted({*PAIRS.values(), *(str(path.relative_to(ROOT)) for path in Path(ROOT, "docs/ko").rglob("*.md"))}))
def test_the_words_are_the_products(page: str) -> None:
    assert page in PAIRS.values()
    assert NOT_KOREAN.findall(read(page)) == []
