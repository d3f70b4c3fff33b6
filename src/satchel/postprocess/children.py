"""The engine of the port: pools of warm, isolated children, each used by one thread at a time. Runs in the parent; decodes nothing.

A job waits for one of `children` threads and opens its file; only for a format that a family of children works on it goes on, and takes
an idle child of that family or starts one. What may take minutes has threads of its own.
A child that dies in the middle gets one successor, one that lacks memory two; a child that is too slow is killed. Then the file is to
blame.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar

import structlog

from satchel.domain.errors import MEDIA_TOO_HEAVY, MEDIA_UNREADABLE, NOT_READY, TOO_LARGE_TO_SEND, TYPE_NOT_ACCEPTED, Fault, Later
from satchel.domain.media import Facts, Rendered
from satchel.domain.plans import Plan
from satchel.postprocess import Config, Decide, Processed
from satchel.postprocess.families import Family, family_of
from satchel.postprocess.source import Source
from satchel.postprocess.visits import SLOW, Converse, Said, Target, Visit
from satchel.postprocess.worker import Died, Reply, TooSlow, Worker, not_ready

TRIES = 2
STARVED = 3
"""After so many fresh children that lacked memory while nothing else was at work, the file is to blame."""
Result = TypeVar("Result")
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
        """End the call: its child is killed."""
        with self._lock:
            self.stopped = True
            if self._worker:
                self._worker.kill()


class Company:
    """Who works at the same time. What a job lacked while it was alone, nobody took from it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._working = self._arrivals = 0

    @contextmanager
    def joined(self) -> Iterator[Callable[[], bool]]:
        """Work; what this yields tells whether nobody else has worked since."""
        with self._lock:
            self._working += 1
            self._arrivals += 1
            first, arrivals = self._working == 1, self._arrivals
        try:
            yield lambda: first and self._arrivals == arrivals
        finally:
            with self._lock:
                self._working -= 1


class Children:
    """The `Transcoder` that decodes in child processes, which start when they are first needed.

    `seconds`: wall time of one job, the transfer of the file included, instead of what its family allows.
    """

    def __init__(self, config: Config, *, seconds: float | None = None) -> None:
        self._max_pixels, self._seconds = config.max_pixels, seconds
        self._threads = ThreadPoolExecutor(config.children, thread_name_prefix="post-processing")
        self._slow_threads = ThreadPoolExecutor(config.converting, thread_name_prefix="transcoding")
        self._idle: list[Worker] = []
        self._idle_lock = threading.Lock()
        self._jobs: set[Job] = set()
        self._told: set[Family] = set()
        self._company = Company()

    async def probe(self, path: Path) -> Facts:
        """See `Transcoder.probe`."""
        return await self._run(self._threads, lambda job: self._probe(path, job))

    async def render(self, path: Path, plan: Plan, into: Path) -> Rendered:
        """See `Transcoder.render`."""
        threads = self._slow_threads if plan.media_type in SLOW else self._threads
        return await self._run(threads, lambda job: self._render(path, plan, into, job), undo=lambda: into.unlink(missing_ok=True))

    async def process(self, path: Path, decide: Decide, into: Path, *, lengthy: bool = False) -> Processed:
        """See `Transcoder.process`."""
        threads = self._slow_threads if lengthy else self._threads
        return await self._run(threads, lambda job: self._process(path, decide, into, job, lengthy), lambda: into.unlink(missing_ok=True))

    async def close(self) -> None:
        """End the children; a job that is still running is ended with a `Later`."""
        await asyncio.to_thread(self._close)

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[[Job], Result], undo: Callable[[], None] = lambda: None) -> Result:
        """Run `work` in a thread. A cancelled caller waits until the thread has let go of its files, which is at once."""
        job = Job()
        self._jobs.add(job)
        thread = threads.submit(work, job)
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
            family = family_of(source.format)
            if family is None:
                return _named(source)
            reply = self._in_child(family, lambda worker: Said(worker.ask(source)), source, job, lengthy=False)
            return _facts(reply)

    def _render(self, path: Path, plan: Plan, into: Path, job: Job) -> Rendered:
        with Source(path) as source:
            family = family_of(source.format)
            if family is None:
                raise Fault(TYPE_NOT_ACCEPTED, f"Found {source.mime}, of which nothing can be made: send it as a document.")
            with Target(into) as target:
                self._in_child(family, lambda worker: target.fill(worker, worker.ask(source, plan), plan), source, job, lengthy=True)
            return target.rendered

    def _process(self, path: Path, decide: Decide, into: Path, job: Job, lengthy: bool) -> Processed:
        with Source(path) as source:
            family = family_of(source.format)
            if family is None:
                return Processed(_named(source), decide(_named(source)))
            with Visit(source, decide, into) as visit:
                self._in_child(family, visit, source, job, lengthy)
            return visit.outcome()

    def _in_child(self, family: Family, converse: Converse, source: Source, job: Job, lengthy: bool) -> Reply:
        """Talk to a child, and to another one if it dies or lacks memory. Raises `Fault` or `Later` for whatever is not an answer."""
        seconds = self._seconds or (family.wall if lengthy else family.glance)
        deaths = starved = 0
        while deaths < TRIES:
            with self._company.joined() as alone:
                said = self._once(family, converse, source, job, seconds)
            if said is None:
                deaths += 1
            elif said.reply.error == "memory" and alone():
                starved += 1
                if starved == STARVED:
                    raise greedy(source)
            else:
                return said.reply if not said.reply.error else refuse(said.reply, source, said.plan)
        raise too_heavy(source, "could not be decoded within the memory and time limits of a child process")

    def _once(self, family: Family, converse: Converse, source: Source, job: Job, seconds: float) -> Said | None:
        """Talk to one child; None when it died."""
        worker = self._take(family)
        try:
            job.uses(worker)
            with worker.within(seconds):
                said = converse(worker)
            self._give_back(worker, said, job)
        except Died:
            worker.end()
            if job.stopped:
                raise ended() from None
            return None
        except TooSlow:
            worker.end()
            raise too_heavy(source, f"could not be decoded within {seconds:g} seconds") from None
        except BaseException:
            worker.end()
            raise
        return said

    def _take(self, family: Family) -> Worker:
        while worker := self._idle_one(family):
            if worker.alive:
                return worker
            worker.end()
        worker = Worker(family, self._max_pixels)
        if family not in self._told:
            self._told.add(family)
            log.info("isolation", family=family.name, reached=worker.level)
        return worker

    def _idle_one(self, family: Family) -> Worker | None:
        """The idle child of the family that worked last, out of the pool."""
        with self._idle_lock:
            worker = next((one for one in reversed(self._idle) if one.family is family), None)
            if worker:
                self._idle.remove(worker)
            return worker

    def _give_back(self, worker: Worker, said: Said, job: Job) -> None:
        """Keep the child for the next job, unless it is spent or about to end by itself."""
        job.uses(None)
        spent = worker.family.converts_once and said.plan is not None and said.plan.action == "convert"
        if said.reply.error in ("", "broken", "unfit") and not spent:
            with self._idle_lock:
                self._idle.append(worker)
        else:
            worker.end()

    def _close(self) -> None:
        for job in list(self._jobs):
            job.stop()
        for threads in (self._threads, self._slow_threads):
            threads.shutdown(wait=True, cancel_futures=True)
        while self._idle:
            self._idle.pop().end()


def _named(source: Source) -> Facts:
    """Of a format that nobody looks into."""
    return Facts(source.format, source.mime, size=source.size)


def _facts(reply: Reply) -> Facts:
    if reply.facts is None:
        raise not_ready("answered a probe with nothing")
    return reply.facts


def refuse(reply: Reply, source: Source, plan: Plan | None) -> NoReturn:
    """Turn a child's error into ours."""
    match reply.error:
        case "broken":
            raise Fault(
                MEDIA_UNREADABLE, f"This {source.mime} is broken: {reply.text}. Send a file that is whole, or send it as a document."
            )
        case "unfit" if plan:
            details = f"This {source.mime} cannot go out as {plan.media_type}: {reply.text}. Send a smaller one, or send it as a document."
            raise Fault(TOO_LARGE_TO_SEND, details)
        case "memory":
            raise too_heavy(source, "needs more memory than a child process may have")
        case _:
            raise not_ready(f"could not work ({reply.text})")


def too_heavy(source: Source, why: str) -> Fault:
    """A situation of its own: this machine may have been busy or frozen, so it must not be remembered of the file."""
    return Fault(MEDIA_TOO_HEAVY, f"This {source.mime} {why}: send a smaller or simpler one, or send it as a document.")


def greedy(source: Source) -> Fault:
    """A file of which no child will ever make anything."""
    details = f"This {source.mime} is broken, or needs more memory than a child process may have, whatever else this host does: "
    return Fault(MEDIA_UNREADABLE, details + "send a smaller or simpler one, or send it as a document.")


def ended() -> Later:
    """Said to who waits for a child while the pool is closed."""
    return Later(NOT_READY, "Post-processing is being ended: send again once this host is back.")
