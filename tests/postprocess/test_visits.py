"""A file looked into and processed in one visit of one child: the same as a probe and a rendition, for half of the way."""

import asyncio
import hashlib
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from satchel.domain.errors import CONTENT_MISMATCH, MEDIA_UNREADABLE, VOLUME_FULL, Fault
from satchel.domain.media import Facts
from satchel.domain.plans import Plan, Rules, plan
from satchel.postprocess import Processed, visits
from satchel.postprocess.children import Children

from . import pictures
from .pictures import HARBOUR, MEDIA
from .processes import STRIP, children_of, the_child, with_pool
from .recordings import mp4

PHOTO = MEDIA / "harbour.jpg"


def as_image(facts: Facts) -> Plan:
    return plan(facts, "image", Rules())


def process(children: Children, path: Path, into: Path) -> Processed:
    return asyncio.run(children.process(path, as_image, into))


@pytest.mark.parametrize(
    "data", [HARBOUR, pictures.png(pictures.scene(mode="RGBA")), pictures.png()], ids=["stripped", "converted", "kept"]
)
def test_a_visit_comes_to_what_a_probe_and_a_rendition_come_to(data: bytes, children: Children, tmp_path: Path) -> None:
    path, one, two = tmp_path / "media", tmp_path / "one", tmp_path / "two"
    path.write_bytes(data)
    done = process(children, path, one)
    facts = asyncio.run(children.probe(path))
    todo = as_image(facts)
    rendered = None if todo.action == "keep" else asyncio.run(children.render(path, todo, two))
    assert done == Processed(facts, todo, rendered, hashlib.sha256(data).hexdigest())
    assert rendered is None or one.read_bytes() == two.read_bytes()
    assert one.exists() is two.exists() is (rendered is not None)


@pytest.mark.parametrize("held", [0, 1 << 20])
def test_a_file_goes_to_the_child_once_unless_it_is_too_large_to_hold(held: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visits, "HELD_BYTES", held)
    read: list[int] = []
    real = os.preadv

    def preadv(*given: Any) -> int:
        read.append(real(*given))
        return read[-1]

    monkeypatch.setattr(os, "preadv", preadv)
    done = with_pool(lambda pool: pool.process(PHOTO, as_image, tmp_path / "made"))
    assert done.rendered is not None
    assert sum(read) == len(HARBOUR) * (1 if held else 2)


@pytest.mark.parametrize("refused", [Fault(CONTENT_MISMATCH, "no"), Fault(VOLUME_FULL, "no room")], ids=["fault", "full"])
def test_a_decision_that_raises_costs_no_child_and_leaves_nothing(refused: Fault, tmp_path: Path) -> None:
    def decide(facts: Facts) -> Plan:
        raise refused

    async def use(pool: Children) -> None:
        await pool.probe(PHOTO)
        before = children_of(os.getpid())
        with pytest.raises(Fault) as caught:
            await pool.process(PHOTO, decide, tmp_path / "made")
        assert caught.value is refused
        assert (await pool.probe(PHOTO)).format == "jpeg"
        assert children_of(os.getpid()) == before

    with_pool(use)
    assert not (tmp_path / "made").exists()


def test_a_broken_file_is_refused_and_leaves_nothing(children: Children, tmp_path: Path) -> None:
    (tmp_path / "media").write_bytes(HARBOUR[:-2])
    with pytest.raises(Fault) as caught:
        process(children, tmp_path / "media", tmp_path / "made")
    assert caught.value.situation is MEDIA_UNREADABLE
    assert not (tmp_path / "made").exists()


def test_a_recording_is_rendered_in_its_visit_and_its_source_is_vouched_for(children: Children, tmp_path: Path) -> None:
    (tmp_path / "media").write_bytes(mp4())
    todo = Plan("video", "convert", "video/mp4", 16_000_000)
    done = asyncio.run(children.process(tmp_path / "media", lambda facts: todo, tmp_path / "made", lengthy=True))
    assert done.rendered is not None and done.rendered.size == (tmp_path / "made").stat().st_size
    assert done.sha256 == hashlib.sha256(mp4()).hexdigest()


def test_what_takes_long_is_in_the_way_of_no_picture(tmp_path: Path) -> None:
    """Its threads are others: a picture is ready while every one of them waits for a decision."""
    (tmp_path / "film").write_bytes(mp4())
    waits, go_on = threading.Event(), threading.Event()

    def decide(facts: Facts) -> Plan:
        waits.set()
        go_on.wait(20)
        return Plan("video", "keep", "video/mp4", 16_000_000)

    async def use(pool: Children) -> Processed:
        films = [asyncio.ensure_future(pool.process(tmp_path / "film", decide, tmp_path / str(n), lengthy=True)) for n in range(3)]
        await asyncio.to_thread(waits.wait, 20)
        done = await pool.process(PHOTO, as_image, tmp_path / "made")
        assert not any(film.done() for film in films)
        go_on.set()
        await asyncio.gather(*films)
        return done

    assert with_pool(use).rendered is not None


def test_a_child_that_dies_after_its_answer_has_a_successor_that_is_asked_all_of_it(tmp_path: Path) -> None:
    decided: list[Facts] = []

    def decide(facts: Facts) -> Plan:
        decided.append(facts)
        if len(decided) == 1:
            child = the_child()
            child.send(signal.SIGKILL)
            child.wait()
        return STRIP

    done = with_pool(lambda pool: pool.process(PHOTO, decide, tmp_path / "made"))
    assert len(decided) == 2 and done.rendered is not None
    assert hashlib.sha256((tmp_path / "made").read_bytes()).hexdigest() == done.rendered.sha256
