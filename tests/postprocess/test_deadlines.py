"""Deadlines: kept in order by one thread, and forgotten by those who are done in time."""

import threading

import pytest

from satchel.postprocess.deadlines import Deadlines


def test_whoever_is_too_slow_is_called_and_nobody_else() -> None:
    deadlines, late, over = Deadlines(), threading.Event(), list[str]()
    with deadlines.within(3600, lambda: over.append("far")):
        with deadlines.within(0.01, lambda: over.append("quick")):
            pass
        with deadlines.within(0.02, late.set):
            assert late.wait(30)
    assert over == []


def test_a_nearer_deadline_comes_before_those_that_wait() -> None:
    deadlines, first, second = Deadlines(), threading.Event(), threading.Event()
    with deadlines.within(3600, lambda: None), deadlines.within(0.1, second.set), deadlines.within(0.01, first.set):
        assert first.wait(30)
        assert second.wait(30)


def test_one_thread_keeps_them_all() -> None:
    deadlines, threads = Deadlines(), set[int]()
    for _ in range(3):
        late = threading.Event()

        def call(late: threading.Event = late) -> None:
            threads.add(threading.get_ident())
            late.set()

        with deadlines.within(0.01, call):
            assert late.wait(30)
    assert len(threads) == 1 and threading.get_ident() not in threads


def test_a_thread_that_could_not_be_started_is_started_with_the_next_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    deadlines, called, blamed = Deadlines(), threading.Event(), threading.Event()
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(threading.Thread, "start", refuse)
        deadlines.within(0.01, blamed.set).__enter__()
    with deadlines.within(0.02, called.set):
        assert called.wait(5)
    assert not blamed.is_set()
