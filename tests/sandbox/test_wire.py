"""The node's doors: uploads, downloads, intake, as docs/reference/sandbox-wire.md says."""

import asyncio
import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from satchel_sandbox.world import LIFE

from .crypt import Sealed, plaintext, seal
from .node import Node
from .running import PHONE, SECRET, Sandbox, envelope, running

pytestmark = pytest.mark.anyio
ENVELOPES = json.loads((Path(__file__).parents[2] / "wire" / "envelope.json").read_text("utf-8"))


async def test_state(sandbox: Sandbox) -> None:
    status, state = await sandbox.call("GET", "/wire/state", headers=sandbox.authorization)
    assert status == 200
    assert state["world"].startswith("w")
    assert state["offset"] == 0.0


async def test_nothing_without_the_secret(sandbox: Sandbox) -> None:
    for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}):
        for method, path in (("GET", "/wire/state"), ("POST", "/wire/messages"), ("POST", f"/mms/image/{seal(b'x').token}")):
            status, refusal = await sandbox.call(method, path, headers=given)
            assert (status, refusal["error"]) == (401, "unauthorized")


async def test_a_large_upload_without_the_secret_is_told_so(sandbox: Sandbox) -> None:
    status, refusal = await sandbox.upload(seal(plaintext(64) * 100_000), headers={})
    assert (status, refusal["error"]) == (401, "unauthorized")


async def test_upload_and_download(sandbox: Sandbox) -> None:
    sealed = seal(plaintext(3_000_000))
    status, copy = await sandbox.upload(sealed)
    assert status == 200
    assert copy["url"] == sandbox.url + copy["direct_path"]
    assert copy["direct_path"].startswith(f"/v/{sealed.token}_")
    assert await sandbox.bytes(copy["direct_path"] + "&hash=ignored") == (200, "application/octet-stream", sealed.blob)


async def test_padded_token_and_again(sandbox: Sandbox) -> None:
    sealed = seal(b"again")
    _, first = await sandbox.upload(sealed)
    padded = f"/mms/image/{sealed.token}=?auth=ignored"
    status, again = await sandbox.call("POST", padded, data=sealed.blob, headers=sandbox.authorization)
    assert status == 200
    assert again["direct_path"] == first["direct_path"]
    assert again["expires"] > first["expires"]


async def test_resume_looks_only(sandbox: Sandbox) -> None:
    sealed = seal(b"resume")
    assert await sandbox.upload(sealed, "?resume=1", data=b"") == (200, {"resume": "0"})
    _, copy = await sandbox.upload(sealed, "?resume=1")  # with a body it is an upload
    status, found = await sandbox.upload(sealed, "?resume=1", data=b"")
    assert (status, found["resume"], found["direct_path"]) == (200, "complete", copy["direct_path"])
    assert found["expires"] > copy["expires"]


BAD_UPLOADS = [
    (f"/mms/image/{seal(b'a').token}", b"other bytes", "hash_mismatch"),
    (f"/mms/sticker/{seal(b'a').token}", seal(b"a").blob, "invalid"),
    ("/mms/image/short", b"x", "invalid"),
    (f"/mms/image/{'!' * 43}", b"x", "invalid"),
]


async def test_bad_uploads(sandbox: Sandbox) -> None:
    for path, data, slug in BAD_UPLOADS:
        status, refusal = await sandbox.call("POST", path, data=data, headers=sandbox.authorization)
        assert (status, refusal["error"]) == (400, slug), path
    assert await sandbox.upload(seal(b"a"), "?resume=1", data=b"") == (200, {"resume": "0"})


async def test_too_large_is_refused_before_its_body(sandbox: Sandbox) -> None:
    host, port = sandbox.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /mms/image/{seal(b'a').token} HTTP/1.1\r\nHost: x\r\nContent-Length: 115343361\r\n"
    writer.write(f"{head}Authorization: {sandbox.authorization['Authorization']}\r\n\r\n".encode())
    assert b" 400 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_download_refusals(sandbox: Sandbox) -> None:
    _, copy = await sandbox.upload(seal(b"mine"))
    path, query = copy["direct_path"].split("?")
    for wrong in (path, f"{path}?{query}x", f"{path}?{query.replace('oe=', 'oe=f')}", f"{path}?oe=%F0%9F&oh=é"):
        assert (await sandbox.bytes(wrong))[0] == 403
    assert (await sandbox.bytes(copy["direct_path"].replace("/v/", "/v/A")))[0] == 404
    assert (await sandbox.bytes("/v/nothing"))[0] == 404


async def test_expiry_on_network_time(sandbox: Sandbox, node: Node) -> None:
    sealed = seal(b"fourteen days")
    _, copy = await sandbox.upload(sealed)
    await sandbox.call("PUT", "/sandbox/clock", json={"advance": f"{LIFE - 60}s"})
    assert (await sandbox.bytes(copy["direct_path"]))[0] == 200
    message = envelope("in-time", sealed.media(copy["direct_path"]))
    assert (await sandbox.send(message))[0] == 200  # which starts the 14 days anew
    await sandbox.call("PUT", "/sandbox/clock", json={"advance": "13d"})
    assert (await sandbox.bytes(copy["direct_path"]))[0] == 200
    await sandbox.call("PUT", "/sandbox/clock", json={"advance": "2d"})
    assert (await sandbox.bytes(copy["direct_path"]))[0] == 410
    status, refusal = await sandbox.send({**message, "id": "too-late"})
    assert (status, refusal["error"]) == (410, "stale_copy")
    assert await sandbox.upload(sealed, "?resume=1", data=b"") == (200, {"resume": "0"})
    assert (await sandbox.send(message))[0] == 200  # an id that is known needs no live copy
    _, renewed = await sandbox.upload(sealed)
    assert renewed["direct_path"] != copy["direct_path"]
    assert (await sandbox.bytes(copy["direct_path"]))[0] == 410
    assert (await sandbox.bytes(renewed["direct_path"]))[2] == sealed.blob


@pytest.mark.parametrize("case", ENVELOPES, ids=lambda case: case["name"])
def test_envelope_vectors(case: dict[str, Any]) -> None:
    from satchel_sandbox.envelope import parse
    from satchel_sandbox.errors import Refusal

    body = json.dumps(case["envelope"]).encode()
    if case["valid"]:
        assert parse(body).id == case["envelope"]["id"]
    else:
        with pytest.raises(Refusal) as refused:
            parse(body)
        assert refused.value.slug == case["error"]


async def test_intake_refusals(sandbox: Sandbox) -> None:
    sealed = seal(b"never uploaded")
    unknown = envelope("m1", sealed.media(f"/v/{sealed.token}_w0.enc?oe=1&oh=x"))
    cases: list[tuple[dict[str, Any], int, str]] = [
        (unknown, 410, "stale_copy"),
        ({**unknown, "world": "w0"}, 409, "wrong_world"),
        ({**unknown, "to": "+12025550111"}, 400, "invalid"),
    ]
    for message, status, slug in cases:
        answered, refusal = await sandbox.send(message)
        assert (answered, refusal["error"]) == (status, slug)
    for body in (b"not json", b"\xff", b"{" + b" " * 1_100_000):
        answered, refusal = await sandbox.call("POST", "/wire/messages", data=io.BytesIO(body), headers=sandbox.authorization)
        assert (answered, refusal["error"]) == (400, "invalid")
    assert await sandbox.messages("0s") == []


async def test_the_same_id_changes_nothing(sandbox: Sandbox, node: Node) -> None:
    message = await sandbox.deliver("once")
    _, first = await sandbox.send(message)
    many = await asyncio.gather(*(sandbox.send({**message, "caption": "another"}) for _ in range(20)))
    assert many == [(200, first)] * 20
    (only,) = await sandbox.messages()
    assert (only["id"], only["caption"]) == ("once", None)
    await node.until(lambda: node.statuses("once") == ["sent", "delivered"])
    assert len(node.events) == len({event["id"] for event in node.events}) == 3


async def test_a_document_in_full(sandbox: Sandbox) -> None:
    plain = plaintext(70_000)
    sealed = seal(plain, "document")
    _, copy = await sandbox.upload(sealed)
    media = sealed.media(copy["direct_path"], "text/plain")
    await sandbox.send(envelope("doc/1", media, caption="받음", filename="Angebot.txt"))
    (shown,) = await sandbox.messages()
    assert shown.pop("at").endswith("Z")
    facts = {"state": "downloaded", "mime_type": "text/plain", "size": 70_000, "sha256": hashlib.sha256(plain).hexdigest()}
    named = {"caption": "받음", "filename": "Angebot.txt"}
    expected = {"id": "doc/1", "from": "12025550100", "type": "document", **named, "read": False, "media": facts}
    assert shown == expected
    assert await sandbox.bytes(f"/sandbox/phones/{PHONE}/messages/doc%2F1/media") == (200, "text/plain", plain)
    status, wire = await sandbox.call("GET", f"/sandbox/phones/{PHONE}/messages/latest/envelope")
    assert (status, wire["media"], wire["filename"]) == (200, media, "Angebot.txt")


async def test_every_type_arrives(sandbox: Sandbox) -> None:
    kinds = ["image", "video", "audio", "document", "sticker"]
    await asyncio.gather(*(sandbox.deliver(kind, seal(kind.encode() * 50, kind)) for kind in kinds))
    assert (await sandbox.send(envelope("text", None)))[0] == 200
    shown = await sandbox.messages()
    while len(shown) < 6 or any(m["media"] and m["media"]["state"] != "downloaded" for m in shown):
        shown = await sandbox.messages()
    assert {m["type"] for m in shown} == {*kinds, "text"}
    assert shown[-1]["text"] == "hello"
    assert shown[-1]["media"] is None


def damaged(sealed: Sealed) -> dict[str, dict[str, Any]]:
    other = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    return {"blob": {"file_enc_sha256": other}, "mac": {"media_key": other}, "plain": {"file_sha256": other}, "length": {"file_length": 3}}


async def test_what_fails_a_check_is_unavailable_but_delivered(sandbox: Sandbox, node: Node) -> None:
    sealed = seal(b"good bytes")
    for check, changes in damaged(sealed).items():
        await sandbox.deliver(check, sealed, **changes)
        shown = (await sandbox.messages())[-1]
        assert (shown["id"], shown["media"]["state"]) == (check, "unavailable")
        status, _, body = await sandbox.bytes(f"/sandbox/phones/{PHONE}/messages/{check}/media")
        assert status == 409
        assert "unavailable" in json.loads(body)["details"]
    await node.until(lambda: all(node.statuses(check) == ["sent", "delivered"] for check in damaged(sealed)))


async def test_a_wrong_secret_is_said_once_and_once_when_it_fits(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "sandbox.wire")
    async with running(node.url) as sandbox:
        for secret in ("wrong", "wrong", SECRET, SECRET):
            await sandbox.call("GET", "/wire/state", headers={"Authorization": f"Bearer {secret}"})
    said = [record.getMessage() for record in caplog.records if record.name == "sandbox.wire"]
    assert len(said) == 2
    assert "SATCHEL_UPSTREAM__SECRET" in said[0]
    assert said[1] == "the node's secret fits now"
