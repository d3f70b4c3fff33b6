"""Messages that somebody sends to the business: media stored first, announced second, in the sender's order."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from satchel.coreapp.kinds import Inbound
from satchel.db import Tx, media, remotes, settings
from satchel.domain.errors import VOLUME_FULL, Fault
from satchel.flows import Ports, fetch, media_node, reading
from satchel.upstream.sandbox import retry

from ..conftest import Place
from ..sandbox.crypt import seal
from .lanes import due
from .phones import AT, PHONE, MediaServer, answered, event, post, with_media
from .received import KEY, files, first, hurry, node, server, told, work

__all__ = ["node", "server"]
pytestmark = pytest.mark.anyio


SAID: dict[str, dict[str, Any]] = {
    "image": {"caption": "Look"},
    "document": {"filename": "bill.pdf", "caption": "The bill"},
    "sticker": {"animated": True},
}


@pytest.mark.parametrize("type_", ["image", "video", "audio", "document", "sticker"])
async def test_p19_media_is_stored_and_told_of(place: Place, node: Ports, server: MediaServer, type_: str) -> None:
    data = type_.encode() * 100_000
    said = SAID.get(type_, {})
    await post(node, with_media(server, "ABEGm", type_, data, **said, media={"mime_type": "application/x-odd; v=1"}))
    await work(node)
    (body,) = await told(node)
    media_id = body["messages"][0][type_]["id"]
    assert body == {
        "contacts": [{"profile": {"name": "Customer"}, "wa_id": PHONE}],
        "messages": [
            {
                "from": PHONE,
                "id": "ABEGm",
                "timestamp": str(int(AT)),
                "type": type_,
                type_: {
                    "id": media_id,
                    "file": str(place.data_dir / "media" / "shared" / media_id),
                    "mime_type": "application/x-odd; v=1",
                    "sha256": hashlib.sha256(data).hexdigest(),
                    **said,
                },
            }
        ],
    }
    assert Path(body["messages"][0][type_]["file"]).read_bytes() == data


async def test_c20_a_voice_note_is_of_type_voice(node: Ports, server: MediaServer) -> None:
    await post(node, with_media(server, "m", "audio", ptt=True, media={"mime_type": "audio/ogg; codecs=opus"}))
    await work(node)
    message = await first(node)
    assert (message["type"], message["voice"]["mime_type"], "audio" in message) == ("voice", "audio/ogg; codecs=opus", False)


async def test_c19_texts_reactions_and_what_they_answer(node: Ports) -> None:
    context = {"from": "12025550100", "id": "gBEGasked", "forwarded": True, "odd": 1}
    await post(node, event("m1", "text", text="Hello 👋", context=context))
    await post(node, event("m2", "reaction", reaction={"message": "gBEGasked", "emoji": "👍"}))
    await work(node)
    one, other = [body["messages"] for body in await told(node)]
    head = {"from": PHONE, "timestamp": str(int(AT))}
    context = {"from": "12025550100", "id": "gBEGasked", "forwarded": True}
    assert one == [{**head, "id": "m1", "type": "text", "text": {"body": "Hello 👋"}, "context": context}]
    assert other == [{**head, "id": "m2", "type": "reaction", "reaction": {"message_id": "gBEGasked", "emoji": "👍"}}]


async def test_c19_one_senders_messages_are_told_in_order_though_a_media_takes_long(node: Ports, server: MediaServer) -> None:
    server.answers = [503]
    await post(
        node, with_media(server, "m1"), event("m2", "text", text="after it"), {**event("o1", "text", text="x"), "from": "12025550112"}
    )
    await work(node)
    assert [body["messages"][0]["id"] for body in await told(node)] == ["o1"]
    await hurry(node)
    await work(node)
    assert [body["messages"][0]["id"] for body in await told(node)] == ["o1", "m1", "m2"]


@pytest.mark.parametrize("empty", [True, False])
async def test_sizes_at_the_edges(node: Ports, server: MediaServer, empty: bool) -> None:
    for n, size in enumerate([0, 1] if empty else [15, 16, 17, (1 << 20) - 10, (1 << 20) - 9, 1 << 20, (1 << 20) + 7]):
        data = bytes(size)
        await post(node, with_media(server, f"m{n}", "document", data))
        await work(node)
        message = (await told(node))[-1]["messages"][0]["document"]
        assert (message["sha256"], Path(message["file"]).read_bytes()) == (hashlib.sha256(data).hexdigest(), data)


async def test_a_second_run_overwrites_what_a_killed_one_has_left(place: Place, node: Ports, server: MediaServer) -> None:
    await post(node, with_media(server, "m"))
    lane = await due(node, "in")
    await lane.work()  # stored, and then the process dies
    (name,) = files(place)
    assert await told(node) == []
    with pytest.raises(Fault):
        await reading.open_media(node, name, await node.db.read(lambda tx: _seen(tx, name)))
    assert await lane.run() is False
    assert (await first(node))["image"]["id"] == name
    assert files(place) == [name]


def _seen(tx: Tx, media_id: str) -> Any:
    return media.live(tx, media_id)


async def test_a_settle_that_comes_twice_tells_once(node: Ports, server: MediaServer) -> None:
    await post(node, with_media(server, "m"))
    lane = await due(node, "in")
    settle = await lane.work()
    assert not callable(getattr(settle, "ahead", None))
    for _ in range(2):
        await node.db.write(settle)  # type: ignore[arg-type]
    assert len(await told(node)) == 1


async def test_c21_a_type_that_is_not_fetched_by_itself_is_told_of_and_fetched_on_request(node: Ports, server: MediaServer) -> None:
    await node.db.write(lambda tx: settings.put(tx, settings.APPLICATION, {"media": {"auto_download": ["voice"]}}))
    await post(node, with_media(server, "m", caption="Look"), with_media(server, "v", "audio", ptt=True))
    await work(node)
    one, voice = (body["messages"][0] for body in await told(node))
    assert {name: one["image"][name] for name in ("status", "caption")} == {"status": "undownloaded", "caption": "Look"}
    assert ("errors" in one, "file" in one["image"], "file" in voice["voice"]) == (False, False, True)
    assert len(server.gets) == 1


async def test_what_may_pass_is_tried_again_and_told_as_undownloaded_in_the_end(node: Ports, server: MediaServer) -> None:
    await post(node, with_media(server, "m"), event("m2", "text", text="x"))
    server.answers = [503] * fetch.TRIES
    for tries in range(fetch.TRIES):
        assert (await told(node), len(server.gets)) == ([], tries)
        await work(node)
        await hurry(node)
    one, other = (body["messages"][0] for body in await told(node))
    assert (one["image"]["status"], one["errors"][0]["code"], other["id"]) == ("undownloaded", 400, "m2")


class _Full:
    """The real volume, without room for so many puts."""

    def __init__(self, inner: Any, times: int) -> None:
        self._inner, self._times = inner, times

    async def put(self, *args: Any, **given: Any) -> Any:
        self._times -= 1
        if self._times >= 0:
            raise Fault(VOLUME_FULL, "The media volume is full.")
        return await self._inner.put(*args, **given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


async def test_p17_a_full_volume_is_waited_for_however_long(node: Ports, server: MediaServer) -> None:
    full = replace(node, volume=_Full(node.volume, fetch.TRIES + 5))
    await post(full, with_media(server, "m"))
    for _ in range(fetch.TRIES + 5):
        await work(full)
        assert await told(full) == []
        await hurry(full)
    await work(full)
    assert "file" in (await first(full))["image"]


async def asked(node: Ports, server: MediaServer) -> bytes:
    """A message whose blob is over, and whose sender has been asked; its media key."""
    await post(node, with_media(server, "m"))
    (path,) = server.blobs
    server.blobs["/later"] = server.blobs.pop(path)
    await work(node)
    assert (server.asked, await told(node)) == (["m"], [])
    return KEY


async def test_p15_media_that_is_over_is_asked_of_its_senders_phone(place: Place, node: Ports, server: MediaServer) -> None:
    key = await asked(node, server)
    server.blobs["/v/again"] = server.blobs.pop("/later")
    sealed = retry.seal_answer(key, "m", retry.Answer(retry.Result.SUCCESS, "/v/again"))
    await post(node, answered("m", enc_p=sealed.enc_p, enc_iv=sealed.enc_iv))
    await work(node)  # without anybody hurrying: the answer wakes the lane
    assert Path((await first(node))["image"]["file"]).read_bytes() == b"a photo"


def put_again(key: bytes, path: str) -> dict[str, Any]:
    """The phone says that it has put the media there again."""
    sealed = retry.seal_answer(key, "m", retry.Answer(retry.Result.SUCCESS, path))
    return answered("m", enc_p=sealed.enc_p, enc_iv=sealed.enc_iv)


async def test_p15_what_the_phone_has_put_there_may_be_over_in_its_turn(node: Ports, server: MediaServer) -> None:
    """As after two more weeks without room on the volume."""
    key = await asked(node, server)
    await post(node, put_again(key, "/v/over-too"))
    await work(node)
    assert (server.asked, await told(node)) == (["m", "m"], [])
    server.blobs["/v/third"] = server.blobs.pop("/later")
    await post(node, put_again(key, "/v/third"))
    await work(node)
    assert Path((await first(node))["image"]["file"]).read_bytes() == b"a photo"


async def test_p15_a_phone_whose_word_is_never_true_is_not_asked_for_ever(node: Ports, server: MediaServer) -> None:
    key = await asked(node, server)
    for n in range(fetch.TRIES):
        await post(node, put_again(key, f"/v/never-{n}"))
        await work(node)
    assert (await first(node))["image"]["status"] == "undownloaded"
    assert len(server.asked) == fetch.TRIES


@pytest.mark.parametrize("how", ["gone", "forged", "another message", "nonsense", "no answer", "unknown there"])
async def test_p15_a_sender_that_cannot_give_it_again(node: Ports, server: MediaServer, how: str, monkeypatch: Any) -> None:
    server.refuses = 404 if how == "unknown there" else 200
    if how == "unknown there":
        await post(node, event("m", "image", media=seal(b"x").media("/v/nowhere")))
        await work(node)
    else:
        key = await asked(node, server)
        name = "other" if how == "another message" else "m"
        sealed = retry.seal_answer(bytes(32) if how == "forged" else key, name, retry.Answer(retry.Result.SUCCESS, "/v/x"))
        sayings: dict[str, Any] = {"gone": {"error": 2}, "nonsense": {"enc_p": "***"}, "no answer": None}
        said = sayings.get(how, {"enc_p": sealed.enc_p, "enc_iv": sealed.enc_iv})
        if said is None:
            monkeypatch.setattr(fetch, "WAIT_FOR_SENDER", 0.0)
        await (hurry(node) if said is None else post(node, answered("m", **said)))
        await work(node)
    message = await first(node)
    assert (message["image"]["status"], message["errors"][0]["code"], len(server.asked)) == ("undownloaded", 400, 1)


async def test_no_key_is_where_people_look(
    place: Place, node: Ports, server: MediaServer, capsys: Any, caplog: Any, monkeypatch: Any
) -> None:
    await post(node, with_media(server, "m"), with_media(server, "d", media={"file_sha256": "A" * 43 + "="}))
    await work(node)
    found = await node.db.read(lambda tx: tx.all("SELECT body FROM upstream_event UNION ALL SELECT body FROM message"))
    rows = [str(await node.db.read(lambda tx: remotes.of_message(tx, "m"))), *(row[0] for row in found), json.dumps(await told(node))]
    printed = "".join(capsys.readouterr()) + caplog.text
    secrets = (seal(b"x").media("/")["media_key"], KEY.hex(), repr(KEY))
    assert [secret for secret in secrets if any(secret in text for text in [printed, *rows])] == []


async def test_received_media_can_be_deleted_also_before_it_came(place: Place, node: Ports, server: MediaServer) -> None:
    await post(node, with_media(server, "m"))
    ((media_id,),) = await node.db.read(lambda tx: tx.all("SELECT id FROM media"))
    lane = await due(node, "in")
    settle = await lane.work()
    await media_node.delete(node, media_id)
    await lane.settle(settle)
    await Inbound(node).after(lane.item)  # type: ignore[arg-type]
    assert (await first(node))["image"]["status"] == "undownloaded"
    assert files(place) == []
    assert await node.db.read(lambda tx: tx.one("SELECT state FROM media")) == ("deleted",)
    assert await node.db.read(lambda tx: tx.one("SELECT count(*) FROM remote")) == (0,)


async def test_a_status_of_something_received_is_told_to_nobody(node: Ports) -> None:
    await post(node, event("m", "text", text="x"))
    await work(node)
    await post(node, {"id": "s", "kind": "status", "message": "m", "recipient": PHONE, "status": "delivered", "at": AT})
    assert [list(body) for body in await told(node)] == [["contacts", "messages"]]


async def test_without_a_url_what_was_received_is_kept_unsent(node: Ports) -> None:
    await post(node, event("m", "text", text="x"))
    await work(node)
    assert await node.db.read(lambda tx: tx.one("SELECT state FROM callback")) == ("unsent",)
