"""From an upload to the phone and back to the business's webhook, with real processes, on both engines."""

import contextlib
import hashlib
import io
import signal
import socket
from pathlib import Path

import pytest
from PIL import Image

from .running import Hook, Node, eventually, free_port

PHONE, OTHER = "12025550111", "12025550112"
BUSINESS = "12025550100"


def shared(node: Node) -> list[Path]:
    return sorted((node.place.data_dir / "media" / "shared").iterdir())


def parts(node: Node) -> list[Path]:
    return list((node.place.data_dir / "media" / "parts").iterdir())


def test_a_photo_reaches_the_phone_without_its_metadata(node: Node, hook: Hook, photo: Path) -> None:
    node.set_hook(hook.url)
    message_id = node.send("+1 (202) 555-0111", "image", node.upload(photo.read_bytes()), caption="The harbour")
    (message,) = node.phone_until(PHONE, 1)
    assert (message["id"], message["from"], message["type"], message["caption"]) == (message_id, BUSINESS, "image", "The harbour")
    received = node.received(PHONE)
    assert message["media"] == {
        "state": "downloaded",
        "mime_type": "image/jpeg",
        "size": len(received),
        "sha256": hashlib.sha256(received).hexdigest(),
    }
    sent, got = Image.open(photo), Image.open(io.BytesIO(received))
    assert sent.tobytes() == got.tobytes()
    assert sent.getexif()[274] == 6
    assert dict(got.getexif()) == {274: 6}
    assert hook.wait(message_id, "delivered")["recipient_id"] == PHONE


def test_default_callbacks_tell_delivered_and_sent_once_it_is_switched_on(node: Node, hook: Hook) -> None:
    node.set_hook(hook.url)
    media = node.upload(b"hello", "text/plain")
    first = node.send(PHONE, "document", media, filename="hello.txt")
    hook.wait(first, "delivered")
    node.set_hook(hook.url, sent=True)
    second = node.send(PHONE, "document", media)
    hook.wait(second, "delivered")
    assert hook.statuses(first) == ["delivered"]
    assert hook.statuses(second) == ["sent", "delivered"]
    assert set(hook.types) == {"application/json"}
    assert all(len(body["statuses"]) == 1 and body["statuses"][0]["timestamp"].isdigit() for body in hook.bodies)


def test_one_upload_serves_many_phones_under_one_key(node: Node, photo: Path) -> None:
    media = node.upload(photo.read_bytes())
    for number in (PHONE, OTHER):
        node.send(number, "image", media)
        node.phone_until(number, 1)
    envelopes = [node.http.get(f"{node.sandbox_url}/sandbox/phones/{n}/messages/latest/envelope").json() for n in (PHONE, OTHER)]
    assert envelopes[0]["media"] == envelopes[1]["media"]
    blob = node.http.get(node.sandbox_url + envelopes[0]["media"]["direct_path"])
    assert blob.status_code == 200
    assert photo.read_bytes()[:20] not in blob.content


def test_a_delete_right_after_the_send_does_not_lose_the_picture(node: Node, photo: Path) -> None:
    node.stop("core")
    media = node.upload(photo.read_bytes())
    node.send(PHONE, "image", media)
    assert node.call("DELETE", f"/v1/media/{media}").status_code == 200
    assert node.call("GET", f"/v1/media/{media}").status_code == 404
    refused = node.call("POST", "/v1/messages", json={"to": PHONE, "type": "image", "image": {"id": media}})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (404, 1006)
    assert [path.name for path in shared(node)] == [media]
    node.start("core")
    assert node.phone_until(PHONE, 1)[0]["media"]["state"] == "downloaded"
    eventually(lambda: not shared(node), 10, lambda: f"still there: {shared(node)}")
    renditions = node.place.data_dir / "media" / "renditions"
    eventually(lambda: not list(renditions.iterdir()), 10, lambda: "the rendition outlived its media")


def test_a_bad_picture_fails_and_the_next_message_goes_out(node: Node, hook: Hook, photo: Path) -> None:
    node.set_hook(hook.url)
    whole = photo.read_bytes()
    text = node.send(PHONE, "image", node.upload(b"just text, whatever its type says", "image/jpeg"))
    cut = node.send(PHONE, "image", node.upload(whole[: len(whole) // 2]))
    fine = node.send(PHONE, "image", node.upload(whole))
    codes = [hook.wait(message, "failed")["errors"][0]["code"] for message in (text, cut)]
    assert codes == [1000, 1014]
    assert [message["id"] for message in node.phone_until(PHONE, 1)] == [fine]


def test_a_file_removed_by_hand_after_the_send_fails_it(node: Node, hook: Hook) -> None:
    node.set_hook(hook.url)
    media = node.upload(b"soon gone", "text/plain")
    node.stop("core")
    message = node.send(PHONE, "document", media)
    (node.place.data_dir / "media" / "shared" / media).unlink()
    node.start("core")
    assert hook.wait(message, "failed")["errors"][0]["code"] == 1014
    assert node.call("GET", f"/v1/media/{media}").status_code == 404


def test_a_send_of_a_file_that_was_removed_by_hand_is_refused(node: Node) -> None:
    media = node.upload(b"gone", "text/plain")
    (node.place.data_dir / "media" / "shared" / media).unlink()
    refused = node.call("POST", "/v1/messages", json={"to": PHONE, "type": "document", "document": {"id": media}})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (404, 1006)


def test_the_sandbox_is_down_while_messages_are_accepted(node: Node) -> None:
    node.stop("sandbox", signal.SIGKILL)
    media = node.upload(b"later", "text/plain")
    sent = [node.send(PHONE, "document", media, filename=f"{n}") for n in range(3)]
    node.start("sandbox")
    assert [message["id"] for message in node.phone_until(PHONE, 3)] == sent


def test_a_webhook_that_is_down_gets_everything_afterwards_in_order(node: Node, hook: Hook) -> None:
    node.call("PATCH", "/v1/settings/application", json={"callback_backoff_delay_ms": "100"})
    node.set_hook(hook.url, sent=True)
    hook.answers = [500, 204, 503]
    message = node.send(PHONE, "document", node.upload(b"x", "text/plain"))
    hook.wait(message, "delivered")
    assert hook.statuses(message) == ["sent"] * 4 + ["delivered"]
    assert len(set(hook.ids[:4])) == 1
    assert hook.ids[4] != hook.ids[0]


def test_a_webhook_that_cannot_be_reached_for_a_while_misses_nothing(node: Node) -> None:
    port = free_port()
    node.call("PATCH", "/v1/settings/application", json={"callback_backoff_delay_ms": 100, "max_callback_backoff_delay_ms": 300})
    node.set_hook(f"http://127.0.0.1:{port}/", sent=True)
    media = node.upload(b"x", "text/plain")
    sent = [node.send(number, "document", media) for number in (PHONE, OTHER)]
    for number in (PHONE, OTHER):
        node.phone_until(number, 1)
    hook = Hook(port)
    for message in sent:
        hook.wait(message, "delivered")
        assert hook.statuses(message) == ["sent", "delivered"]
    hook.close()


def test_a_message_of_a_world_that_was_reset_fails_and_the_next_world_hears_nothing_of_it(node: Node, hook: Hook) -> None:
    node.set_hook(hook.url)
    media = node.upload(b"x", "text/plain")
    before = node.send(PHONE, "document", media)
    hook.wait(before, "delivered")
    node.stop("core")
    old = node.send(PHONE, "document", media)
    assert node.http.post(f"{node.sandbox_url}/sandbox/reset").json()["world"]
    new = node.send(PHONE, "document", media)
    node.start("core")
    hook.wait(new, "delivered")
    assert [message["id"] for message in node.phone_until(PHONE, 1)] == [new]  # its copy was gone, too: put there once more
    failed = node.call("GET", f"/_satchel/v1/messages/{old}").json()["messages"][0]
    assert (failed["state"], failed["steps"][-1]["step"]) == ("failed", "failed")
    assert "reset" in failed["steps"][-1]["reason"]
    assert not [status for status in hook.statuses(old) if status == "failed"]


def test_an_upload_that_breaks_off_leaves_nothing(node: Node) -> None:
    with socket.create_connection(("127.0.0.1", node.port)) as connection:
        head = f"POST /v1/media HTTP/1.1\r\nHost: x\r\nAuthorization: {node.headers['Authorization']}\r\nContent-Type: image/png\r\n"
        connection.sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode() + b"x" * 300_000)
        eventually(lambda: bool(parts(node)), 5, lambda: "the upload did not begin")
    eventually(lambda: not parts(node), 5, lambda: "a part file was left")
    assert shared(node) == []


def test_a_killed_webapp_leaves_no_part_file_after_its_restart(node: Node) -> None:
    with socket.create_connection(("127.0.0.1", node.port)) as connection:
        head = f"POST /v1/media HTTP/1.1\r\nHost: x\r\nAuthorization: {node.headers['Authorization']}\r\nContent-Type: image/png\r\n"
        connection.sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode() + b"x" * 300_000)
        eventually(lambda: bool(parts(node)), 5, lambda: "the upload did not begin")
        node.stop("web", signal.SIGKILL)
    assert len(parts(node)) == 1
    node.start("web")
    node.wait_ready()
    assert parts(node) == []


@pytest.mark.parametrize("begun", ["", "Transfer-Encoding: chunked\r\n\r\n0\r\n"], ids=["headers", "trailers"])
def test_fields_without_end_are_cut_off(node: Node, begun: str) -> None:
    with socket.create_connection(("127.0.0.1", node.port), timeout=20) as connection:
        connection.sendall(f"GET /_satchel/livez HTTP/1.1\r\nHost: x\r\n{begun}".encode())
        with contextlib.suppress(ConnectionError):
            for n in range(3000):
                connection.sendall(f"X-{n}: ".encode() + b"x" * 1000 + b"\r\n")
            pytest.fail("three megabytes of fields were taken")
    assert node.answers("/_satchel/livez")


def test_a_rendition_damaged_by_hand_is_made_again(node: Node, photo: Path) -> None:
    media = node.upload(photo.read_bytes())
    node.send(PHONE, "image", media)
    node.phone_until(PHONE, 1)
    (rendition,) = (node.place.data_dir / "media" / "renditions").iterdir()
    rendition.write_bytes(b"")
    node.http.put(f"{node.sandbox_url}/sandbox/clock", json={"advance": "20d"})
    node.send(OTHER, "image", media)
    assert node.phone_until(OTHER, 1)[0]["media"]["state"] == "downloaded"


def test_sigterm_lets_an_upload_in_flight_finish(node: Node) -> None:
    with socket.create_connection(("127.0.0.1", node.port), timeout=20) as connection:
        head = f"POST /v1/media HTTP/1.1\r\nHost: x\r\nAuthorization: {node.headers['Authorization']}\r\nContent-Type: image/png\r\n"
        connection.sendall(f"{head}Content-Length: 600000\r\n\r\n".encode() + b"x" * 300_000)
        eventually(lambda: bool(parts(node)), 5, lambda: "the upload did not begin")
        node.processes["web"].terminate()
        connection.sendall(b"x" * 300_000)
        assert connection.recv(65536).startswith(b"HTTP/1.1 201 ")
    assert node.stop("web") == 0
