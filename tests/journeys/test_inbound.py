"""From a phone to the business's webhook, with real processes: what is told of is there, once at least, in order, whatever is killed."""

import hashlib
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2

from .running import Hook, Json, Node, eventually

PHONE = "12025550111"
PHONES = [f"1202555{number:04}" for number in range(120, 140)]


def act(node: Node, number: str, **said: Any) -> Json:
    answer = node.http.post(f"{node.sandbox_url}/sandbox/phones/{number}/actions", json=said)
    assert answer.status_code == 200, answer.text
    message: Json = answer.json()["message"]
    return message


def sent(node: Node, number: str, type_: str, data: bytes, **said: Any) -> str:
    """A message from a phone; its id."""
    given = node.http.post(f"{node.sandbox_url}/sandbox/phones/{number}/files", content=data)
    assert given.status_code == 201, given.text
    return str(act(node, number, do="send", type=type_, file=given.json()["file"], **said)["id"])


def received(hook: Hook) -> list[Json]:
    return [message for body in list(hook.bodies) for message in body.get("messages", [])]


def one(hook: Hook, message_id: str, timeout: float = 15.0) -> Json:
    eventually(lambda: any(told["id"] == message_id for told in received(hook)), timeout, lambda: f"{message_id}: {hook.bodies}")
    return next(told for told in received(hook) if told["id"] == message_id)


def test_p19_what_a_phone_sends_lies_on_the_volume_and_can_be_fetched_and_deleted(node: Node, hook: Hook, photo: Path) -> None:
    node.set_hook(hook.url)
    message = one(hook, sent(node, PHONE, "image", photo.read_bytes(), caption="The harbour"))
    image = message["image"]
    assert (message["from"], image["caption"], image["mime_type"]) == (PHONE, "The harbour", "image/jpeg")
    assert image["sha256"] == hashlib.sha256(photo.read_bytes()).hexdigest()
    assert Path(image["file"]).read_bytes() == photo.read_bytes()
    assert Path(image["file"]).name == image["id"]
    got = node.call("GET", f"/v1/media/{image['id']}")
    assert (got.status_code, got.headers["content-type"], got.content) == (200, "image/jpeg", photo.read_bytes())
    assert node.call("DELETE", f"/v1/media/{image['id']}").status_code == 200
    assert node.call("GET", f"/v1/media/{image['id']}").status_code == 404
    eventually(lambda: not Path(image["file"]).exists(), 5, lambda: "the file is still there")
    assert set(hook.types) == {"application/json"}


def test_that_it_was_read_reaches_the_phone(node: Node, hook: Hook) -> None:
    node.set_hook(hook.url)
    message_id = act(node, PHONE, do="send", type="text", text="Are you there?")["id"]
    assert one(hook, message_id)["text"] == {"body": "Are you there?"}
    eventually(lambda: node.phone(PHONE)[0]["ticks"] == "delivered", 5, lambda: str(node.phone(PHONE)))
    for _ in range(2):
        assert node.call("PUT", f"/v1/messages/{message_id}", json={"status": "read"}).status_code == 200
    assert node.phone(PHONE)[0]["ticks"] == "read"
    assert node.call("PUT", "/v1/messages/ABEGnobodys", json={"status": "read"}).status_code == 404


def test_received_media_can_be_sent_again(node: Node, hook: Hook, photo: Path) -> None:
    node.set_hook(hook.url)
    image = one(hook, sent(node, PHONE, "image", photo.read_bytes()))["image"]
    node.send("12025550112", "image", image["id"])
    assert node.phone_until("12025550112", 1)[0]["media"]["state"] == "downloaded"


def test_c21_undownloaded_media_is_fetched_on_request_also_after_its_14_days(node: Node, hook: Hook) -> None:
    node.set_hook(hook.url)
    assert node.call("PATCH", "/v1/settings/application", json={"media": {"auto_download": []}}).status_code == 200
    video = one(hook, sent(node, PHONE, "video", b"a video"))["video"]
    assert (video["status"], "file" in video) == ("undownloaded", False)
    assert node.call("GET", f"/v1/media/{video['id']}").status_code == 404
    assert node.http.put(f"{node.sandbox_url}/sandbox/clock", json={"advance": "15d"}, timeout=20).status_code == 200
    answer = node.call("GET", f"/v1/media/{video['id']}/download")
    assert (answer.status_code, answer.json()["media_items"]) == (200, [{"id": video["id"]}])
    eventually(lambda: any("media_items" in body for body in hook.bodies), 15, lambda: str(hook.bodies))
    (items,) = (body for body in hook.bodies if "media_items" in body)
    told = {"id": video["id"], "mime_type": "video/mp4", "sha256": hashlib.sha256(b"a video").hexdigest(), "status": "downloaded"}
    assert items == {"media_items": [{"type": "video", "video": told}]}
    assert node.call("GET", f"/v1/media/{video['id']}").content == b"a video"


def test_0108_answers_an_image_with_an_image(node: Node, hook: Hook, photo: Path) -> None:
    node.set_hook(hook.url)
    node.send("12025550108", "image", node.upload(photo.read_bytes()))
    eventually(lambda: bool(received(hook)), 15, lambda: str(hook.bodies))
    answer = received(hook)[0]
    assert (answer["from"], answer["type"]) == ("12025550108", "image")
    assert Path(answer["image"]["file"]).read_bytes() == node.received("12025550108")


def test_while_the_node_is_down_nothing_is_lost(node: Node, hook: Hook) -> None:
    node.set_hook(hook.url)
    node.stop("core")
    node.stop("web")
    ids = [sent(node, PHONE, "document", f"file {n}".encode()) for n in range(5)]
    node.start("web")
    node.start("core")
    node.wait_ready()
    for n, message_id in enumerate(ids):
        assert Path(one(hook, message_id)["document"]["file"]).read_bytes() == f"file {n}".encode()
    assert [message["id"] for message in received(hook)] == ids


def test_a_killed_coreapp_loses_doubles_and_disorders_nothing(node: Node, hook: Hook) -> None:
    node.set_hook(hook.url)
    wanted: dict[str, bytes] = {}
    order: dict[str, list[str]] = {number: [] for number in PHONES}
    for n in range(10):
        for number in PHONES:
            data = f"{number} {n} ".encode() * 2000
            message_id = sent(node, number, "image", data)
            wanted[message_id] = data
            order[number].append(message_id)
        if n % 3 == 1:  # in the middle of what came until now
            node.stop("core", signal.SIGKILL)
            node.start("core")
    eventually(lambda: wanted.keys() <= {told["id"] for told in received(hook)}, 60, lambda: _missing(node, hook, wanted))
    seen = list(dict.fromkeys(told["id"] for told in received(hook)))
    assert {number: [id_ for id_ in seen if id_ in set(ids)] for number, ids in order.items()} == order
    for told in received(hook):
        image = told["image"]
        assert image["sha256"] == hashlib.sha256(wanted[told["id"]]).hexdigest()
        assert Path(image["file"]).read_bytes() == wanted[told["id"]]
    ids = {told["id"]: told["image"]["id"] for told in received(hook)}
    assert all(told["image"]["id"] == ids[told["id"]] for told in received(hook))
    stored = {path.name for path in (node.place.data_dir / "media" / "shared").iterdir()}
    assert stored == set(ids.values())
    callbacks = Counter(zip(hook.ids, (body["messages"][0]["id"] for body in hook.bodies), strict=True))
    assert len(callbacks) == len(wanted)  # one constant id for each message, however often it came


def _missing(node: Node, hook: Hook, wanted: dict[str, bytes]) -> str:
    return f"{len(wanted.keys() - {told['id'] for told in received(hook)})} are missing; {node.log.read_text()[-2000:]}"


def test_bytes_that_changed_on_the_media_server_are_no_file(node: Node, hook: Hook) -> None:
    node.set_hook(hook.url)
    node.stop("core")
    message_id = sent(node, PHONE, "image", b"a photo " * 100)
    (blob,) = (node.place.data_dir / "sandbox" / "vault").rglob("*.enc")
    flipped = bytearray(blob.read_bytes())
    flipped[40] ^= 1
    blob.write_bytes(flipped)
    node.start("core")
    told = one(hook, message_id)
    assert (told["image"]["status"], told["errors"][0]["code"]) == ("undownloaded", 400)
    assert [path for folder in ("shared", "parts") for path in (node.place.data_dir / "media" / folder).iterdir()] == []


def test_no_media_key_is_in_any_log(node: Node, hook: Hook, photo: Path) -> None:
    node.set_hook(hook.url)
    message_id = sent(node, PHONE, "image", photo.read_bytes())
    one(hook, message_id)
    envelope = httpx2.get(f"{node.sandbox_url}/sandbox/phones/{PHONE}/messages/{message_id}/envelope", trust_env=False).json()
    assert envelope["media"]["media_key"] not in node.log.read_text()
