"""The client of integrations against a running node."""

import asyncio
import hashlib
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from satchel.cli import say
from satchel.client import (
    AsyncSatchel,
    FileUnreadable,
    NotAllowed,
    NotFound,
    Refused,
    Satchel,
    SatchelError,
    SendFailed,
    StorageTrouble,
    TimedOut,
    Unreachable,
)
from satchel.client import errors as client_errors
from satchel.client.errors import STORAGE, ClientError, refusal
from satchel.client.sandbox import Sandbox
from satchel.domain.errors import SITUATIONS, VOLUME_FULL, VOLUME_MISSING, VOLUME_NOT_WRITABLE
from satchel.testing.server import Processes, free_port

from ..conftest import PHOTO

TO = "12025550112"
NEVER_ONLINE = "12025550102"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    processes = Processes(tmp_path_factory.mktemp("node"), {})
    processes.wait_ready()
    yield processes
    processes.stop()


@pytest.fixture
def wa(running: Processes) -> Iterator[Satchel]:
    with Satchel(running.url, user="admin", password=running.password) as node:
        yield node


def test_a_file_goes_up_streamed_and_its_hash_comes_back(wa: Satchel) -> None:
    whole = PHOTO.read_bytes()
    with PHOTO.open("rb") as file:
        kept = [wa.media.upload(PHOTO), wa.media.upload(str(PHOTO)), wa.media.upload(whole, "image/jpeg"), wa.media.upload(file)]
    assert {one.sha256 for one in kept} == {hashlib.sha256(whole).hexdigest()}
    assert {one.mime for one in kept} == {"image/jpeg"}
    assert {one.size for one in kept} == {len(whole)}
    assert [wa.media.get(one.id) == whole for one in kept] == [True] * 4
    assert wa.media.info(kept[0].id).sha256 == kept[0].sha256
    assert kept[3].id in [media.id for media in wa.media.list(mime="image/jpeg")]
    wa.media.delete(kept[0].id)
    with pytest.raises(NotFound) as caught:
        wa.media.get(kept[0].id)
    assert (caught.value.status, caught.value.exit_code) == (404, say.NOT_FOUND)


def test_a_file_is_read_from_where_it_stands_and_a_pipe_goes_in_chunks(wa: Satchel) -> None:
    file = io.BytesIO(b"beginning and end")
    file.seek(10)
    assert wa.media.get(wa.media.upload(file, "text/plain").id) == b"and end"
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as into:
        into.write(b"through a pipe")
    with os.fdopen(reading, "rb") as pipe:
        kept = wa.media.upload(pipe, "text/plain")
    assert wa.media.get(kept.id) == b"through a pipe"
    assert (kept.size, kept.sha256) == (14, hashlib.sha256(b"through a pipe").hexdigest())


def test_messages_are_sent_and_waited_for(wa: Satchel) -> None:
    media = wa.media.upload(PHOTO)
    photo = wa.send.image(TO, media, caption="The harbour").wait()
    document = wa.send.document(TO, media=media.id, filename="bill.jpg").wait("delivered", timeout=10)
    text = wa.send.text(TO, "hello").wait("sent")
    assert "delivered" in photo.statuses
    assert document.info()["media_id"] == media.id
    assert {photo.id, document.id, text.id} <= {one["id"] for one in wa.messages.list(to=TO)}
    assert wa.messages.get(text.id).info()["type"] == "text"


def test_a_message_that_fails_says_why_and_one_that_does_not_come_times_out(wa: Satchel) -> None:
    failed = wa.send.sticker(TO, wa.media.upload(b"no picture", "image/webp"))
    with pytest.raises(SendFailed, match=r"failed: Sent as sticker, found text/plain") as caught:
        failed.wait()
    assert (caught.value.code, caught.value.title) == (1000, "Generic error")
    with pytest.raises(TimedOut, match="is not delivered after") as late:
        wa.send.text(NEVER_ONLINE, "hello").wait("delivered", timeout=0.3)
    assert late.value.exit_code == say.TIMED_OUT


def test_contacts_settings_and_callbacks(wa: Satchel) -> None:
    known, unknown = wa.contacts.check(["+1 202 555 0112", "12025550103"])
    assert (known.input, known.status, known.wa_id) == ("+1 202 555 0112", "valid", TO)
    assert unknown.status == "invalid"
    with pytest.raises(Refused, match="No webhook is set"):
        wa.webhooks.test()
    wa.settings.change(callback_persist=False, webhooks={"url": f"http://127.0.0.1:{free_port()}/"})
    assert wa.settings.get()["callback_persist"] is False
    made = wa.webhooks.test()
    assert wa.webhooks.get(made)["id"] == made
    assert made in [one["id"] for one in wa.webhooks.list("waiting")]
    assert len(wa.webhooks.replay(since="1m")) == len(wa.webhooks.list("done"))
    wa.settings.reset()
    assert wa.settings.get()["callback_persist"] is True


def test_a_refused_token_is_renewed_and_the_upload_begins_anew(wa: Satchel) -> None:
    first = wa.token
    with Satchel(wa.url, token=first) as other:
        other.settings.get()
    wa._session.json("POST", "/v1/users/logout", b"{}")  # type: ignore[union-attr]
    kept = wa.media.upload(PHOTO)
    assert wa.token != first
    assert wa.media.get(kept.id) == PHOTO.read_bytes()
    assert kept.size == PHOTO.stat().st_size


def test_a_token_is_renewed_before_it_ends(wa: Satchel) -> None:
    first, session = wa.token, wa._session
    assert session is not None
    assert 5 * 86400 < session._until - time.time() < 7 * 86400
    session._until = 0.0
    assert wa.token != first


def test_what_is_wrong_with_a_login_or_an_address_is_said(running: Processes) -> None:
    with pytest.raises(NotAllowed) as caught:
        Satchel(running.url, user="admin", password="Wrong-Password-1").media.get("x")
    assert (caught.value.code, caught.value.exit_code) == (1005, say.NOT_ALLOWED)
    assert caught.value.request_id
    assert "Wrong-Password-1" not in repr(caught.value)
    with pytest.raises(NotAllowed):
        Satchel(running.url, token="nobody's").send.text(TO, "hello")
    with pytest.raises(Unreachable) as nobody:
        Satchel(f"http://127.0.0.1:{free_port()}", token="x").settings.get()
    assert nobody.value.exit_code == say.UNREACHABLE
    with pytest.raises(ValueError, match="user and password, or a token"):
        Satchel(running.url)


def test_a_request_that_does_not_fit_and_a_file_that_is_not_there(wa: Satchel, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        wa.send.text("no number", "hello")
    assert caught.value.exit_code == say.REFUSED
    assert caught.value.slug
    with pytest.raises(FileUnreadable, match=r"nothing\.pdf"):
        wa.media.upload(tmp_path / "nothing.pdf")


def test_the_same_calls_are_awaited(running: Processes) -> None:
    async def story() -> None:
        async with AsyncSatchel(running.url, user="admin", password=running.password) as wa:
            kept = await asyncio.gather(*(wa.media.upload(PHOTO) for _ in range(4)))
            sent = await asyncio.gather(*(wa.send.image(TO, one, caption="x") for one in kept))
            await asyncio.gather(*(message.wait("delivered", timeout=20) for message in sent))
            with pytest.raises(NotFound):
                await wa.media.get("f0" * 16)
            assert {message.id for message in sent} <= {one["id"] for one in await wa.messages.list(to=TO)}

    asyncio.run(story())


def test_the_awaited_client_has_every_call_of_the_other(wa: Satchel) -> None:
    awaited = AsyncSatchel(wa.url, token="x")
    for part in ("media", "send", "messages", "webhooks", "contacts", "settings"):
        calls = {name for name in dir(getattr(wa, part)) if not name.startswith("_")} - {"stream"}
        assert calls == {name for name in vars(getattr(awaited, part)) if not name.startswith("_")}, part


def test_errors_are_of_the_families_that_exit_codes_stand_for() -> None:
    assert {VOLUME_FULL.slug, VOLUME_MISSING.slug, VOLUME_NOT_WRITABLE.slug} == STORAGE
    for situation in SITUATIONS.values():
        error = refusal(situation.status, situation.code, situation.title, "", situation.slug)
        assert isinstance(error, StorageTrouble) == (situation.slug in STORAGE)
        assert error.exit_code in say.EXIT_CODES
    kinds = [kind for kind in vars(client_errors).values() if isinstance(kind, type) and issubclass(kind, SatchelError)]
    assert {kind.exit_code for kind in kinds} == {1, 4, 5, 6, 7, 8, 9}
    assert issubclass(ClientError, SatchelError)


def test_the_address_of_the_api_is_the_nodes_too(running: Processes) -> None:
    with Satchel(f"{running.url}/v1/", user="admin", password=running.password) as node:
        assert node.media.info(node.media.upload(b"x", "text/plain").id).size == 1


def test_who_takes_the_network_for_the_node_or_the_node_for_the_network_is_told(running: Processes) -> None:
    with Satchel(running.sandbox_url, user="admin", password=running.password) as mixed_up, pytest.raises(SatchelError) as found:
        mixed_up.media.upload(b"x", "text/plain")
    assert "this is the simulated network: ask at the node's port" in str(found.value)
    with pytest.raises(Unreachable, match="is no sandbox"):
        Sandbox(running.url).status()
