"""Those who work: each is a thread that repeats one kind of job until the run is over, and finishes what it has begun.

A call is repeated at either Webapp until it is answered for good, uploads and sends with an Idempotency-Key: what was answered in the
end is a promise, and goes into the ledger.
"""

import hashlib
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx2

from .bodies import any_body, document, jpeg
from .ledger import Inbound, Ledger, Link, Sent, Upload
from .links import Shelf
from .world import World

PATIENCE = 150.0
"""Seconds after which a call that is never answered for good is a failure."""
REPEATED = {429, 503}


class Client:
    """One thread. `job` is called with pauses in between."""

    def __init__(self, world: World, ledger: Ledger, name: str, seed: int, pause: float) -> None:
        self.world, self.ledger, self.dice = world, ledger, random.Random(seed)
        self.over = threading.Event()
        self._pause, self._name, self._keys = pause, name, 0
        self._http = httpx2.Client(timeout=4.0, trust_env=False)
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Wait for what it has in hands. Raises what ended it."""
        self._thread.join(PATIENCE + 30)
        self.close()
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self._http.close()

    def job(self) -> None:
        raise NotImplementedError

    def _run(self) -> None:
        try:
            while not self.over.wait(self.dice.uniform(0, 2 * self._pause)):
                self.job()
        except BaseException as error:  # noqa: BLE001 - raised by join()
            self.error = error

    def mark(self) -> str:
        """Text that nobody has used before."""
        self._keys += 1
        return f"{self._name}-{self._keys}"

    def call(self, method: str, path: str, **given: Any) -> httpx2.Response:
        """One of the node's answers, at whichever Webapp gives one."""
        headers = {**self.world.headers, **given.pop("headers", {})}
        return self._until(lambda: self._http.request(method, self.dice.choice(self.world.urls) + path, headers=headers, **given))

    def network(self, method: str, path: str, **given: Any) -> httpx2.Response:
        """One of the sandbox's."""
        return self._until(lambda: self._http.request(method, self.world.sandbox_url + path, **given))

    def _until(self, ask: Callable[[], httpx2.Response]) -> httpx2.Response:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                answer = ask()
                if answer.status_code not in REPEATED:
                    return answer
            except httpx2.TransportError:
                pass
            self.ledger.count("calls repeated")
            threading.Event().wait(0.1)
        raise AssertionError(f"{self._name}: no answer within {PATIENCE:.0f} s")


class Sender(Client):
    """Uploads and sends, to recipients of its own so that their order is known; some by a link to what lies on the `shelf`."""

    recipients: tuple[str, ...] = ()
    shelf: Shelf

    def job(self) -> None:
        to, what = self.dice.choice(self.recipients), self.dice.random()
        if what < 0.3:
            self._send(to, None if what < 0.15 else self._link())
            return
        known = self.ledger.usable()
        upload = self.dice.choice(known) if known and what < 0.6 else self._upload()
        if upload is not None and what < 0.9:
            self._send(to, upload)

    def _link(self) -> Link:
        """One that others send as well, or one that is new, be it to bytes that are known."""
        known = self.shelf.links
        if known and self.dice.random() < 0.4:
            return self.dice.choice(known)
        return self.shelf.put_again(self.dice) if known and self.dice.random() < 0.4 else self.shelf.put(any_body(self.dice))

    def _upload(self) -> Upload | None:
        body = any_body(self.dice)
        headers = {"Content-Type": body.mime, "Idempotency-Key": self.mark()}
        answer = self.call("POST", "/v1/media", content=body.data, headers=headers)
        if answer.status_code == 403:
            self.ledger.count("uploads refused: no room")
            return None
        if answer.status_code != 201:
            self.ledger.accuse(f"upload answered {answer.status_code} {answer.text}")
            return None
        upload = Upload(answer.json()["media"][0]["id"], body.type, hashlib.sha256(body.data).hexdigest(), body.raw)
        self.ledger.uploaded(upload)
        return upload

    def _send(self, to: str, media: Upload | Link | None) -> None:
        mark = self.mark()
        message = _message(to, media, mark)
        answer = self.call("POST", "/v1/messages", json=message, headers={"Idempotency-Key": mark})
        if answer.status_code == 201:
            self.ledger.was_sent(Sent(answer.json()["messages"][0]["id"], to, mark, media))
        elif answer.status_code == 404 and isinstance(media, Upload) and media.id in self.ledger.condemned:
            self.ledger.count("sends refused: deleted")
        else:
            self.ledger.accuse(f"send of {media} answered {answer.status_code} {answer.text}")


def _message(to: str, media: Upload | Link | None, mark: str) -> dict[str, Any]:
    if media is None:
        return {"to": to, "type": "text", "text": {"body": mark}}
    named = {"link": media.url} if isinstance(media, Link) else {"id": media.id}
    return {"to": to, "type": media.type, media.type: {**named, "caption": mark}}


class Deleter(Client):
    """Deletes some, and reads others meanwhile: what is not being deleted is there and whole."""

    def job(self) -> None:
        known = self.ledger.usable()
        if not known:
            return
        upload = self.dice.choice(known)
        if self.dice.random() < 0.25:
            self._delete(upload)
        else:
            self._read(upload)

    def _delete(self, upload: Upload) -> None:
        self.ledger.condemn(upload.id)
        answer = self.call("DELETE", f"/v1/media/{upload.id}")
        if answer.status_code in (200, 404):  # an earlier try may have done it
            self.ledger.deleted.add(upload.id)
        else:
            self.ledger.accuse(f"delete of {upload} answered {answer.status_code} {answer.text}")

    def _read(self, upload: Upload) -> None:
        self.ledger.count("reads")
        answer = self.call("GET", f"/v1/media/{upload.id}")
        if answer.status_code != 200 or hashlib.sha256(answer.content).hexdigest() != upload.sha256:
            self.ledger.accuse(f"read of {upload} answered {answer.status_code}, {len(answer.content)} bytes")


class Writer(Client):
    """Phones that write to the business."""

    senders: tuple[str, ...] = ()

    def job(self) -> None:
        number, mark = self.dice.choice(self.senders), self.mark()
        if self.dice.random() < 0.3:
            self._act(number, mark, None, {"type": "text", "text": mark})
            return
        body = self.dice.choice([jpeg, document])(self.dice)
        given = self.network("POST", f"/sandbox/phones/{number}/files", content=body.data)
        said = {"type": body.type, "file": given.json()["file"], "mime_type": body.mime, "caption": mark}
        self._act(number, mark, hashlib.sha256(body.data).hexdigest(), said)

    def _act(self, number: str, mark: str, sha256: str | None, said: dict[str, str]) -> None:
        """A try whose answer was lost may have sent it, too: then the phone has several with this mark, all of them to be announced."""
        answer = self.network("POST", f"/sandbox/phones/{number}/actions", json={"do": "send", **said})
        if answer.status_code == 200:
            self.ledger.was_received(Inbound(answer.json()["message"]["id"], number, mark, sha256))
        else:
            self.ledger.accuse(f"{number} sends {said}: {answer.status_code} {answer.text}")


class Ager(Client):
    """Phones that lose a file, and two weeks that pass: whoever wants it again has the node upload it once more."""

    def job(self) -> None:
        sent = [one for one in self.ledger.all_sent if one.media is not None]
        for one in self.dice.sample(sent, min(3, len(sent))):
            self._act(one, "forget")
        if self.network("PUT", "/sandbox/clock", json={"advance": "15d"}).status_code == 200:
            self.ledger.count("times two weeks passed")
        for one in self.dice.sample(sent, min(3, len(sent))):
            self._act(one, "download")

    def _act(self, one: Sent, do: str) -> None:
        """A message that has not arrived cannot be forgotten, nor asked for."""
        answer = self.network("POST", f"/sandbox/phones/{one.to}/actions", json={"do": do, "message": one.id})
        self.ledger.count(f"{do} on phones" if answer.status_code == 200 else f"{do} too early")
