"""Uploads that break off and go on, both forms of a token, ranges of a download: what clients of the real media servers do."""

import asyncio
import base64
import io
from pathlib import Path

import aiohttp
import pytest

from .crypt import Sealed, plaintext, seal
from .node import Node
from .running import SECRET, Sandbox, address, process, running, until

pytestmark = pytest.mark.anyio
SEALED = seal(plaintext(64) * 60_000)  # 3.8 MB
HALF = 2_000_000


async def broken_off(sandbox: Sandbox, sealed: Sealed, size: int, offset: int = 0) -> None:
    """Send `size` bytes from `offset` on, say that there are more, and go away."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    rest = len(sealed.blob) - offset
    head = f"POST /mms/{sealed.kind}/{sealed.token}?file_offset={offset} HTTP/1.1\r\nHost: x\r\nContent-Length: {rest}\r\n"
    writer.write(f"{head}Authorization: {sandbox.authorization['Authorization']}\r\n\r\n".encode())
    writer.write(sealed.blob[offset : offset + size])
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def kept(sandbox: Sandbox, sealed: Sealed = SEALED) -> str:
    status, found = await sandbox.upload(sealed, "?resume=1", data=b"")
    assert status == 200, found
    return str(found["resume"])


async def until_kept(sandbox: Sandbox, size: int, sealed: Sealed = SEALED) -> None:
    async with asyncio.timeout(8):
        while await kept(sandbox, sealed) != str(size):
            pass


async def go_on(sandbox: Sandbox, sealed: Sealed, offset: int) -> tuple[int, dict[str, object]]:
    return await sandbox.upload(sealed, f"?file_offset={offset}", data=io.BytesIO(sealed.blob[offset:]))


@pytest.mark.parametrize("size", [HALF, 300, 1 << 20])
async def test_an_upload_goes_on_where_it_broke_off(sandbox: Sandbox, size: int) -> None:
    await broken_off(sandbox, SEALED, size)
    await until_kept(sandbox, size)
    status, copy = await go_on(sandbox, SEALED, size)
    assert status == 200
    assert (await sandbox.bytes(str(copy["direct_path"])))[2] == SEALED.blob
    assert await kept(sandbox) == "complete"


async def test_it_may_break_off_again_and_go_back(sandbox: Sandbox) -> None:
    await broken_off(sandbox, SEALED, HALF)
    await until_kept(sandbox, HALF)
    await broken_off(sandbox, SEALED, 500_000, offset=HALF)
    await until_kept(sandbox, HALF + 500_000)
    status, copy = await go_on(sandbox, SEALED, 1_000_000)  # from an earlier byte than the last
    assert status == 200
    assert (await sandbox.bytes(str(copy["direct_path"])))[2] == SEALED.blob


async def test_where_nothing_is_kept_nothing_goes_on(sandbox: Sandbox) -> None:
    for offset in (1, HALF):
        assert (await go_on(sandbox, SEALED, offset))[1]["error"] == "wrong_offset"
    await broken_off(sandbox, SEALED, HALF)
    await until_kept(sandbox, HALF)
    status, refusal = await go_on(sandbox, SEALED, HALF + 1)
    assert (status, refusal["error"]) == (409, "wrong_offset")
    for wrong in ("-1", "x", "1e3", "", "9" * 30):
        status, refusal = await sandbox.upload(SEALED, f"?file_offset={wrong}", data=b"x")
        assert (status, refusal["error"]) == (400, "invalid"), wrong
    assert (await sandbox.upload(SEALED))[0] == 200  # the whole is always taken


async def test_bytes_that_do_not_fit_what_is_kept(sandbox: Sandbox) -> None:
    await broken_off(sandbox, SEALED, HALF)
    await until_kept(sandbox, HALF)
    status, refusal = await sandbox.upload(SEALED, f"?file_offset={HALF}", data=io.BytesIO(bytes(len(SEALED.blob) - HALF)))
    assert (status, refusal["error"]) == (409, "wrong_offset")
    assert await kept(sandbox) == "0"  # what was kept may be the damaged half: all of it goes


async def test_a_partial_upload_is_kept_for_a_day_of_network_time(sandbox: Sandbox) -> None:
    await broken_off(sandbox, SEALED, HALF)
    await until_kept(sandbox, HALF)
    await sandbox.advance("23h")
    assert await kept(sandbox) == str(HALF)
    await sandbox.advance("2h")
    assert await kept(sandbox) == "0"


async def test_a_partial_upload_survives_a_restart_and_goes_with_its_time(node: Node, tmp_path: Path) -> None:
    async with running(node.url, tmp_path) as sandbox:
        await broken_off(sandbox, SEALED, HALF)
        await until_kept(sandbox, HALF)
    async with running(node.url, tmp_path) as sandbox:
        assert await kept(sandbox) == str(HALF)
        status, copy = await go_on(sandbox, SEALED, HALF)
        assert (status, (await sandbox.bytes(str(copy["direct_path"])))[2]) == (200, SEALED.blob)
        other = seal(b"other" * 1000)
        await broken_off(sandbox, other, 100)
        await until_kept(sandbox, 100, other)
        await sandbox.advance("25h")
    assert not list(tmp_path.rglob("*.part*"))


async def test_a_partial_upload_survives_a_kill_in_the_middle(node: Node, tmp_path: Path) -> None:
    arguments = ("--port", "0", "--data-dir", tmp_path, "--node", node.url)
    async with process(*arguments, SATCHEL_SANDBOX_SECRET=SECRET) as one, aiohttp.ClientSession() as session:
        sandbox = Sandbox(session, await address(one))

        host, port = sandbox.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /mms/image/{SEALED.token} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(SEALED.blob)}\r\n"
        writer.write(f"{head}Authorization: Bearer {SECRET}\r\n\r\n".encode() + SEALED.blob[:HALF])
        await until(lambda: any(file.stat().st_size >= 1 << 20 for file in tmp_path.glob("vault/*/*.part")))
        one.kill()
        await one.wait()
        writer.close()
    async with process(*arguments, SATCHEL_SANDBOX_SECRET=SECRET) as two, aiohttp.ClientSession() as session:
        sandbox = Sandbox(session, await address(two))
        offset = int(await kept(sandbox))
        assert 1 << 20 <= offset <= HALF
        status, copy = await go_on(sandbox, SEALED, offset)
        assert (status, (await sandbox.bytes(str(copy["direct_path"])))[2]) == (200, SEALED.blob)


async def test_both_forms_of_a_token_name_the_same_upload(sandbox: Sandbox) -> None:
    await broken_off(sandbox, SEALED, HALF)
    await until_kept(sandbox, HALF)
    padded = base64.urlsafe_b64encode(base64.urlsafe_b64decode(SEALED.token + "=")).decode()
    assert padded == SEALED.token + "="
    path = f"/mms/image/{padded}?auth=x&token={padded}&"
    options = {"headers": sandbox.authorization}
    assert (await sandbox.call("POST", path + "resume=1", **options))[1] == {"resume": str(HALF)}
    status, copy = await sandbox.call("POST", path + f"file_offset={HALF}", data=io.BytesIO(SEALED.blob[HALF:]), **options)
    assert (status, await kept(sandbox)) == (200, "complete")
    assert (await sandbox.bytes(copy["direct_path"]))[2] == SEALED.blob


async def test_ranges(sandbox: Sandbox) -> None:
    _, copy = await sandbox.upload(SEALED)
    size = len(SEALED.blob)
    asked = {
        "65520-": (65520, size),
        "0-15": (0, 16),
        "-10": (size - 10, size),
        f"{size - 1}-{size + 5}": (size - 1, size),
    }
    for wanted, (start, end) in asked.items():
        async with sandbox.session.get(sandbox.url + copy["direct_path"], headers={"Range": f"bytes={wanted}"}) as answer:
            assert (answer.status, await answer.read()) == (206, SEALED.blob[start:end]), wanted
            assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
    async with sandbox.session.get(sandbox.url + copy["direct_path"], headers={"Range": f"bytes={size}-"}) as answer:
        assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
    async with sandbox.session.head(sandbox.url + copy["direct_path"]) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(size))
