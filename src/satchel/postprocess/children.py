"""The engine of the port: a pool of warm, isolated children, each used by one thread at a time. Runs in the parent; decodes nothing.

A job waits for one of `children` threads and opens its file; only with a JPEG or PNG it goes on, and takes an idle child or starts one.
A child that dies in the middle gets one successor; a child that is too slow is killed, and the file is to blame.
"""

import asyncio
import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NoReturn, TypeVar

import structlog

from satchel.domain.errors import MEDIA_TOO_HEAVY, MEDIA_UNREADABLE, NOT_READY, NOT_SUPPORTED_YET, Fault, Later
from satchel.domain.media import IMAGE_FORMATS, Facts, Rendered, judge_image
from satchel.domain.plans import Plan
from satchel.postprocess import Config
from satchel.postprocess.sniff import sniff
from satchel.postprocess.source import Source
from satchel.postprocess.worker import Died, Reply, TooSlow, Worker, not_ready

JOB_SECONDS = 60.0
"""Wall time of one job in a child, the transfer of the file included."""

TRIES = 2
Result = TypeVar("Result")
Converse = Callable[[Worker], Reply]
log = structlog.get_logger("satchel.postprocess")


class Job:
    """One call in a thread, and the way for the event loop to end it early."""

    def __init__(self) -> None:
        self.stopped = False
        self._worker: Worker | None = None
        self._lock = threading.Lock()

    def uses(self, worker: Worker | None) -> None:
        """Tell which child a stop has to kill. Raises `Later` when the stop has already come."""
        with self._lock:
            self._worker = worker
            if self.stopped and worker:
                raise ended()

    def stop(self) -> None:
        with self._lock:
            self.stopped = True
            if self._worker:
                self._worker.kill()


class Children:
    """The `Transcoder` that decodes in child processes. `seconds`: wall time of one job. Children start when they are first needed."""

    def __init__(self, config: Config, *, seconds: float = JOB_SECONDS) -> None:
        self._max_pixels, self._seconds = config.max_pixels, seconds
        self._threads = ThreadPoolExecutor(config.children, thread_name_prefix="post-processing")
        self._idle: list[Worker] = []  # append and pop are atomic
        self._jobs: set[Job] = set()
        self._told = False

    async def probe(self, path: Path) -> Facts:
        """See `Transcoder.probe`."""
        return await self._run(lambda job: self._probe(path, job))

    async def render(self, path: Path, plan: Plan, into: Path) -> Rendered:
        """See `Transcoder.render`. Raises `Fault` for a picture that may not go out, judged by its header; decodes nothing."""
        if plan.media_type != "image":
            details = f"Post-processing of {plan.media_type} is not supported yet, only of image: send it as a document."
            raise Fault(NOT_SUPPORTED_YET, details)
        return await self._run(lambda job: self._render(path, into, job), undo=lambda: into.unlink(missing_ok=True))

    async def close(self) -> None:
        """End the children; a job that is still running is ended with a `Later`."""
        await asyncio.to_thread(self._close)

    async def _run(self, work: Callable[[Job], Result], undo: Callable[[], None] = lambda: None) -> Result:
        """Run `work` in a thread. A cancelled caller waits until the thread has let go of its files, which is at once."""
        job = Job()
        self._jobs.add(job)
        thread = self._threads.submit(work, job)
        future = asyncio.wrap_future(thread)
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            thread.cancel()
            job.stop()
            await asyncio.wait([future])
            if not future.cancelled() and not future.exception():
                await asyncio.to_thread(undo)
            raise
        finally:
            self._jobs.discard(job)
        if future.cancelled():
            raise ended()
        return future.result()

    def _probe(self, path: Path, job: Job) -> Facts:
        with Source(path) as source:
            form, mime = sniff(source.head)
            if form not in IMAGE_FORMATS:
                return Facts(form, mime)

            def converse(worker: Worker) -> Reply:
                return worker.ask("probe", form, source)

            return facts(form, self._in_child(converse, form, job))

    def _render(self, path: Path, into: Path, job: Job) -> Rendered:
        with Source(path) as source:
            form, mime = sniff(source.head)
            if form not in IMAGE_FORMATS:
                judge_image(Facts(form, mime))
            with into.open("xb", buffering=0) as file:
                try:
                    return self._write(source, form, file, job)
                except BaseException:
                    into.unlink(missing_ok=True)
                    raise

    def _write(self, source: Source, form: str, file: BinaryIO, job: Job) -> Rendered:
        sha256 = hashlib.sha256()

        def converse(worker: Worker) -> Reply:
            nonlocal sha256
            sha256 = hashlib.sha256()
            file.seek(0)
            file.truncate()
            reply = worker.ask("render", form, source)
            for block in worker.body(reply.size):
                sha256.update(block)
                write_all(file, block)
            return reply

        reply = self._in_child(converse, form, job)
        judge_image(facts(form, reply))
        return Rendered(IMAGE_FORMATS[form], reply.size, sha256.hexdigest())

    def _in_child(self, converse: Converse, form: str, job: Job) -> Reply:
        """Talk to a child, and to a second one if the first dies. Raises `Fault` or `Later` for whatever is not an answer."""
        for _ in range(TRIES):
            worker = self._take()
            try:
                job.uses(worker)
                with worker.within(self._seconds):
                    reply = converse(worker)
                self._give_back(worker, reply, job)
            except Died:
                worker.end()
                if job.stopped:
                    raise ended() from None
            except TooSlow:
                worker.end()
                raise too_heavy(form, f"could not be decoded within {self._seconds:g} seconds") from None
            except BaseException:
                worker.end()
                raise
            else:
                return reply if not reply.error else refuse(form, reply)
        raise too_heavy(form, "could not be decoded within the memory and time limits of a child process")

    def _take(self) -> Worker:
        with suppress(IndexError):
            while worker := self._idle.pop():
                if worker.alive:
                    return worker
                worker.end()
        worker = Worker(self._max_pixels)
        if not self._told:
            self._told = True
            log.info("isolation", reached=worker.level)
        return worker

    def _give_back(self, worker: Worker, reply: Reply, job: Job) -> None:
        """Keep the child for the next job, unless it is about to end by itself."""
        job.uses(None)
        if reply.error in ("", "broken"):
            self._idle.append(worker)
        else:
            worker.end()

    def _close(self) -> None:
        for job in list(self._jobs):
            job.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)
        while self._idle:
            self._idle.pop().end()


def facts(form: str, reply: Reply) -> Facts:
    return Facts(form, IMAGE_FORMATS[form], reply.width, reply.height, tuple(reply.lacks))


def refuse(form: str, reply: Reply) -> NoReturn:
    """Turn a child's error into ours."""
    match reply.error:
        case "broken":
            raise Fault(
                MEDIA_UNREADABLE,
                f"This {IMAGE_FORMATS[form]} is broken: {reply.text}. Send a file that is whole, or send it as a document.",
            )
        case "memory":
            raise too_heavy(form, "needs more memory than a child process may have")
        case _:
            raise not_ready(f"could not work ({reply.text})")


def too_heavy(form: str, why: str) -> Fault:
    """A situation of its own: this machine may have been busy or frozen, so it must not be remembered of the file."""
    return Fault(MEDIA_TOO_HEAVY, f"This {IMAGE_FORMATS[form]} {why}: send a smaller or simpler one, or send it as a document.")


def ended() -> Later:
    return Later(NOT_READY, "Post-processing is being ended: send again once this host is back.")


def write_all(file: BinaryIO, block: memoryview) -> None:
    while block:
        block = block[file.write(block) :]
