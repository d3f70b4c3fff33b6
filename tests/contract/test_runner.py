"""The runner itself: what is wrong turns a case red, and a malformed file says where."""

from pathlib import Path

import pytest

from .conftest import Opener
from .parse import Malformed, parse
from .run import run

TITLE = "### probe [C01]: A probe"
LOGIN = "POST /v1/users/login\nAuthorization: Basic {{admin:Quay-Lantern-42}}"
RIGHT = """HTTP 200
Content-Type: application/json

{"users": [{"token": "<token>", "expires_after": "<time>"}], "meta": "<meta>"}"""
WRONG = {
    "status": ("HTTP 200", "HTTP 201"),
    "header": ("application/json", "text/html"),
    "header that is not there": ("Content-Type: application/json", "ETag: <any>"),
    "header that should not be there": ("application/json", "<absent>"),
    "no body": (RIGHT, "HTTP 200"),
    "text": (RIGHT, "HTTP 200\n\nhello"),
    "bytes": (RIGHT, "HTTP 200\n\n<hex 00ff>"),
    "value": ("<token>", "one.two.three"),
    "hole of another form": ("<time>", "<uuid>"),
    "hole for nothing": ('{"token"', '{"id": "<any>", "token"'),
    "member that nobody wants": ('"token": "<token>", ', ""),
    "length of a list": ("[{", "[{}, {"),
    "kind of a value": ('"<meta>"', '["<any>"]'),
    "version": ('"<meta>"', '{"version": "2.57.2", "api_status": "stable"}'),
}
"""What is wanted instead of what."""
MALFORMED = {
    "hello\n": (1, "only comments"),
    "### Probe\n": (1, "a case starts with"),
    "### probe: No rules\n": (1, "a case starts with"),
    f"{TITLE}\n": (1, "no step"),
    f"{TITLE}\n@slow\n{LOGIN}\n\nHTTP 200\n": (2, "no mark"),
    f"{TITLE}\n@setting MAX=1\n{LOGIN}\n\nHTTP 200\n": (2, "no mark"),
    f"{TITLE}\n\nFETCH /v1/media\n\nHTTP 200\n": (3, "expected a request"),
    f"{TITLE}\n\nGET /v1/media\nAuthorization\n\nHTTP 200\n": (4, "is no header"),
    f"{TITLE}\n\n{LOGIN}\n\n": (3, "one answer"),
    f"{TITLE}\n\n{LOGIN}\n\nHTTP 200\nHTTP 201\n": (3, "one answer"),
    f'{TITLE}\n\n{LOGIN}\n\nHTTP 200\n\n{{"users": <any>}}\n': (7, "not JSON"),
    f'{TITLE}\n\n{LOGIN}\n\nHTTP 200\n\n{{"users": "<pigeon>"}}\n': (7, "is no hole"),
    f"{TITLE}\n\nGET /v1/media/{{{{media}}}}\n\nHTTP 200\n": (3, "before an earlier step captures it"),
    f"{TITLE}\n\n{LOGIN}\nExpect: 100-continue\n\nHTTP 200\n": (3, "@live"),
    f"{TITLE}\n\n{LOGIN}\n\nHTTP 200\n\n### second\n": (8, "a case starts with"),
}


def written(folder: Path, text: str) -> Path:
    file = folder / "probe.http"
    file.write_text(text)
    return file


@pytest.mark.anyio
@pytest.mark.parametrize("change", [pytest.param(change, id=what.replace(" ", "-")) for what, change in WRONG.items()])
async def test_what_differs_turns_a_case_red(change: tuple[str, str], open_in_process: Opener, tmp_path: Path) -> None:
    (wrong,) = parse(written(tmp_path, f"{TITLE}\n\n{LOGIN}\n\n{RIGHT.replace(*change)}\n"))
    async with open_in_process({}) as back_end:
        with pytest.raises(AssertionError, match=r"^probe\.http:3: POST /v1/users/login: "):
            await run(wrong, back_end)


@pytest.mark.anyio
async def test_the_right_answer_is_green_and_a_second_step_can_be_red(open_in_process: Opener, tmp_path: Path) -> None:
    steps = [f"{LOGIN}\n\n{RIGHT}", "$ cat shared/nothing\n\nhello"]
    (right,) = parse(written(tmp_path, f"# A comment.\n\n{TITLE}\n\n{steps[0]}\n"))
    (wrong,) = parse(written(tmp_path, f"{TITLE}\n\n{steps[0]}\n\n{steps[1]}\n"))
    async with open_in_process({}) as back_end:
        await run(right, back_end)
        with pytest.raises(AssertionError, match=r"^probe\.http:11: cat shared/nothing: there is no such file"):
            await run(wrong, back_end)


@pytest.mark.anyio
@pytest.mark.parametrize("answer", ["HTTP 201", "HTTP 100\nHTTP 413"])
async def test_a_100_that_is_not_wanted_or_does_not_come_is_red(answer: str, open_live: Opener, tmp_path: Path) -> None:
    length, body = ("5", "hello") if answer == "HTTP 201" else ("104857601", "")
    head = f"POST /v1/media\nAuthorization: Bearer {{{{token}}}}\nContent-Type: text/plain\nContent-Length: {length}\nExpect: 100-continue"
    (wrong,) = parse(written(tmp_path, f'{TITLE}\n@live\n\n{head}\n\n{body}\n\n{answer}\n\n{{"...": "<any>"}}\n'))
    async with open_live({}) as back_end:
        with pytest.raises(AssertionError, match=r"HTTP 100 (not )?wanted"):
            await run(wrong, back_end)


@pytest.mark.parametrize(
    ("text", "where"), [pytest.param(text, where, id=f"{number}") for number, (text, where) in enumerate(MALFORMED.items())]
)
def test_a_malformed_file_says_where(text: str, where: tuple[int, str], tmp_path: Path) -> None:
    with pytest.raises(Malformed, match=rf"^probe\.http:{where[0]}: .*{where[1]}"):
        parse(written(tmp_path, text))


def test_every_kind_of_body_is_read(tmp_path: Path) -> None:
    bodies = ["hello\n\nworld", "<base64 AP8=>", "<hex 00ff>", "<size 3>"]
    text = "".join(f"### probe-{at} [C01]: A probe\n\nPOST /v1/media\n\n{body}\n\nHTTP 200\n" for at, body in enumerate(bodies))
    assert [case.steps[0].body for case in parse(written(tmp_path, text))] == bodies
