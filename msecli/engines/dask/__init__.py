"""The workers of a Dask cluster: parts are read and their results joined there, and one result comes back.

Parts are sent in waves of a few for each thread, so that neither this process nor the scheduler ever knows of many. The
results of a wave are joined in a tree, whose top is here. A step from one task to the next takes milliseconds, as each
message waits for others to go with it: so small runs are one step, and what does not depend on each other is asked at
once.

What travels between workers are pickled results in bytes. So a task changes nothing that another may need again, and
Dask, which runs tasks again when a worker is lost, may do so with any of them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Sized
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager, suppress
from copy import copy
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from operator import methodcaller
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4
from weakref import WeakKeyDictionary

import dask
import distributed
from distributed.comm.core import CommClosedError

from msecli.engines import Exchange, Workers, untold
from msecli.engines.dask import tasks
from msecli.engines.dask.here import workers_here
from msecli.engines.dask.tasks import NOTHING, VERSIONS, Broken, Outcome, Work
from msecli.errors import MsecliError, ReadWriteError, UsageError
from msecli.tuples import NamedTuple

Item = TypeVar("Item")
Found = TypeVar("Found")
Told = TypeVar("Told")

ITEMS_PER_THREAD, FEWEST_ITEMS = 8, 32
"""Items of a wave: enough for each thread to be busy until the next wave has come."""
WAVES = 2
"""Waves that are under way at once."""
JOINED_AT_ONCE = 8
"""Results that a task joins."""
JOINED_HERE = 4
"""Results that this process joins, rather than wait for one more task."""
SENT_BYTES = 1 << 18
"""What is sent with tasks, all of them together, rather than held by one that the workers ask for it."""
LOOK_SECONDS, ANSWER_SECONDS = 0.5, 10.0
"""How often to look whether scheduler and workers are still there, and how long to wait for the scheduler's answer."""
AT_ONCE = "split-shuffle"
"""What Dask calls tasks that take no time, and so are done where what they need is, however busy others are."""
SILENT = logging.CRITICAL + 1
LOST = (TimeoutError, OSError, CancelledError, CommClosedError, RuntimeError)
"""What Dask raises when the scheduler is lost."""
CERTIFICATES = tuple(f"DASK_DISTRIBUTED__COMM__TLS__{name}" for name in ("CA_FILE", "CLIENT__CERT", "CLIENT__KEY"))
"""What says where a client's certificates are, unless a file of Dask's configuration does."""
CHECKED: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()
"""The workers of each client that are known to have the same versions."""
ADVICE = (
    "start a cluster with the commands dask scheduler and dask worker tcp://HOST:8786, and name it with "
    "`scheduler=tcp://HOST:8786`, or with `scheduler_file=FILE`; `local=2` starts two workers on this machine"
)


class Wave(NamedTuple):
    """Items under way.

    Parameters
    ----------
    each : list of Future
        The outcomes of the items.
    joined : list of Future
        These, or those of several successive items joined, so that there are few.
    before : int
        The number of items in the waves before this one.
    """

    each: list[Any]
    joined: list[Any]
    before: int


class DaskEngine:
    """Runs work in the workers of a Dask cluster. See `msecli.engines.Engine`.

    Without an address it takes the current client of this process, if there is one.

    Parameters
    ----------
    workers : Workers

    Raises
    ------
    UsageError
        If nothing says where the scheduler is.
    """

    distributed = True

    def __init__(self, workers: Workers) -> None:
        self._workers, self._stack = workers, ExitStack()
        self._client: Any = None
        self._alone_since: float | None = None
        self._started: Callable[[], None] = lambda: None
        # Given up after the next one has been sent, which would have to wait for what the scheduler is told of this.
        self._last: list[Wave] = []
        self._probe: Callable[[], None] | None = None
        self.jobs = 1
        if {workers.scheduler, workers.scheduler_file, workers.local} == {None}:
            with suppress(ValueError):
                self._client = distributed.get_client()
            if self._client is None:
                raise UsageError(f"the engine 'dask' does not know where its workers are; {ADVICE}")

    def __enter__(self) -> Self:
        try:
            if self._client is None:
                self._stack.enter_context(_quiet())
                self._client = self._connected()
            while not (threads := self._threads()):
                self._started()
                time.sleep(LOOK_SECONDS / 10)
            self._check_versions(threads)
        except BaseException:
            self._stack.close()
            raise
        self.jobs = sum(threads.values())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._last.clear()
        self._stack.close()

    def _connected(self) -> Any:
        """Return a client of the cluster, which is started first if it is to be on this machine."""
        timeout = self._workers.timeout
        address: Any = self._workers.scheduler
        if self._workers.local is not None:
            # What is written there is of no use to anybody later.
            folder = self._stack.enter_context(TemporaryDirectory(prefix="msecli-", ignore_cleanup_errors=True))
            address = self._scheduler_here(folder)
            here = workers_here(address.scheduler_address, self._workers.local, folder)
            self._started = self._stack.enter_context(here)
        elif self._workers.scheduler_file is not None:
            address = _address_in(self._workers.scheduler_file)
        try:
            client = distributed.Client(  # type: ignore[no-untyped-call]
                address, timeout=timeout, set_as_default=False, name="msecli"
            )
        except (OSError, ValueError) as error:  # of no scheduler there, and of what is no address
            raise ReadWriteError(f"no scheduler answers at {address} within {timeout:g} s; {ADVICE}") from error
        except TypeError as error:
            if not str(address).startswith("tls://"):
                raise
            names = ", ".join(CERTIFICATES)
            raise ReadWriteError(
                f"{address} is reached with certificates; name their files in the environment: {names}"
            ) from error
        self._stack.callback(client.close)
        return client

    def _scheduler_here(self, folder: str) -> Any:
        """Return a cluster whose scheduler is in this process, and which has no workers yet."""

        def started() -> Any:
            with dask.config.set({"temporary-directory": folder}):
                return distributed.LocalCluster(  # type: ignore[no-untyped-call]
                    n_workers=0, processes=True, dashboard_address=":0", silence_logs=SILENT
                )

        # In a thread, so that Ctrl-C leaves none half started, which nobody would end.
        with ThreadPoolExecutor(1) as thread:
            starting = thread.submit(started)
            self._stack.callback(lambda: starting.result().close())
            return starting.result()

    def checked(self, probe: Callable[[], None]) -> Self:
        """Return the same engine, with another probe. See `msecli.engines.Engine`.

        A worker calls the probe as it gets the first task of some work. So it costs no time, and those that come later
        do so, too.
        """
        checked = copy(self)
        checked._probe = probe  # noqa: SLF001 - its own
        return checked

    def _check_versions(self, workers: Iterable[str]) -> None:
        """See that the scheduler has msecli, and workers the same libraries; those that are known are not asked again.

        Workers look themselves, too, before they work, but one that lacks msecli would end as it gets a task.

        Raises
        ------
        ReadWriteError
        """
        known = CHECKED.setdefault(self._client, set())
        new = [worker for worker in workers if worker not in known]
        if not new:
            return
        # Functions of the standard library: of msecli's there may be none there.
        calls = map(methodcaller("__call__"), VERSIONS.values())
        try:
            found = self._client.run(list, calls, workers=new, on_error="return")
            there = {f"worker {worker}": each for worker, each in found.items()}
            try:
                self._client.run_on_scheduler(version, "msecli")
            except PackageNotFoundError as error:
                there["the scheduler"] = error
        except LOST as error:
            raise self._lost() from error
        tasks.refuse_others(there, tasks.versions())
        known.update(new)

    def run(
        self,
        work: Callable[[Item], Iterator[Found]],
        items: Iterable[Item],
        join: Callable[[Found, Found], Found] | None = None,
        progress: Callable[[float], None] = untold,
        *,
        stepwise: bool = False,
    ) -> Iterator[Found]:
        """Yield what `work` yields for each item, or all of it joined. See `msecli.engines.Engine`."""
        total = len(items) if isinstance(items, Sized) else 0
        whole, sent = NOTHING, self._sent(self._work(work, join), total)
        with closing(self._waves(sent, _drawn(items), joined=join is not None)) as waves:
            for wave in waves:
                told = partial(_told, progress, wave, total)
                if join is None:
                    for outcome in self._each(wave, told):
                        yield from _found(outcome)
                    continue
                whole = tasks.merged(join, whole, self._awaited(wave.joined, told))
                if stepwise or whole.error is not None:
                    yield from _found(whole)
                    whole = NOTHING
        yield from whole.found

    def _each(self, wave: Wave, told: Callable[[], None]) -> Iterator[Outcome]:
        """Yield the outcomes of a wave in order, a few at once if they are there."""
        left = deque(wave.joined)
        while left:
            ready = [left.popleft()]
            while left and len(ready) < JOINED_HERE and ready[-1].done() and left[0].done():
                ready.append(left.popleft())
            yield from self._awaited(ready, told)

    def _waves(self, sent: Any, items: Iterator[Any], *, joined: bool) -> Generator[Wave, None, None]:
        """Yield all waves in order; a few are under way at the same time."""
        ahead: deque[Wave] = deque()
        size, begun = max(FEWEST_ITEMS, ITEMS_PER_THREAD * self.jobs), 0
        try:
            while True:
                while len(ahead) < WAVES and (drawn := list(islice(items, size))):
                    each = self._client.map(
                        tasks.worked,
                        range(len(drawn)),
                        sent=sent,
                        items=self._sent(pickle.dumps(drawn), len(drawn)),
                        pure=False,
                    )
                    ahead.append(Wave(each, self._together(sent, each) if joined else each, begun))
                    begun += len(drawn)
                    self._last.clear()
                if not ahead:
                    return
                yield ahead[0]
                self._last[:] = [ahead.popleft()]
        finally:
            # Not cancelled, which the scheduler refuses, and then hangs up, where others are made of what nobody holds.
            for wave in ahead:
                for future in (*wave.each, *wave.joined):
                    future.release()

    def _together(self, sent: Any, level: Sequence[Any]) -> list[Any]:
        """Return a few outcomes of all, joined in a tree."""
        submit = partial(self._client.submit, pure=False)
        while len(level) > JOINED_HERE:
            groups = [level[start : start + JOINED_AT_ONCE] for start in range(0, len(level), JOINED_AT_ONCE)]
            level = [submit(tasks.joined, sent, *group) if len(group) > 1 else group[0] for group in groups]
        return list(level)

    def exchange(
        self,
        deal: Callable[[Item], tuple[Told, Sequence[Any]]],
        items: Sequence[Item],
        join: Callable[[Told, Told], Told],
        buckets: int,
        progress: Callable[[float], None] = untold,
    ) -> Exchange[Told]:
        """Deal all items. See `msecli.engines.Exchanger`.

        Dask's peer-to-peer shuffle moves data frames, and begins again when a worker is lost. Here every piece is the
        result of a task: bytes, whose types nobody changes, and of which those that are lost are dealt again. So there
        are as many tasks as items times buckets, which the scheduler must bear.
        """
        count = len(items)
        sent = self._sent(self._work(deal, join), count)
        dealt = self._client.map(
            tasks.dealt,
            range(count),
            pure=False,
            sent=sent,
            items=self._sent(pickle.dumps(list(items)), count),
            buckets=buckets,
        )
        return self._exchanged(sent, dealt, join, buckets, progress)

    def _exchange_buckets(
        self,
        pieces: list[list[Any]],
        deal: Callable[[Sequence[Any]], tuple[Told, Sequence[Any]]],
        join: Callable[[Told, Told], Told],
        buckets: int,
        progress: Callable[[float], None] = untold,
    ) -> Exchange[Told]:
        """Deal the pieces of each bucket again; they are given up."""
        sent = self._sent(self._work(deal, join), len(pieces[0]))
        submit = partial(self._client.submit, pure=False)
        dealt = [submit(tasks.dealt_again, sent, buckets, *bucket) for bucket in zip(*pieces, strict=True)]
        pieces.clear()
        return self._exchanged(sent, dealt, join, buckets, progress)

    def _exchanged(
        self,
        sent: Any,
        dealt: list[Any],
        join: Callable[[Told, Told], Told],
        buckets: int,
        progress: Callable[[float], None],
    ) -> Exchange[Told]:
        """Return what is told of all that was dealt, and its pieces."""
        taken = [self._elements(each, buckets + 1) for each in dealt]
        told, pieces = [each[0] for each in taken], [each[1:] for each in taken]
        dealt.clear()  # so that workers forget what they hold as pieces
        wave = Wave(told, self._together(sent, told), 0)
        joined = self._awaited(wave.joined, partial(_told, progress, wave, len(told)))
        (whole,) = _found(tasks.merged(join, NOTHING, joined))
        return Exchange(whole, buckets, partial(self._run_buckets, pieces), partial(self._exchange_buckets, pieces))

    def _elements(self, dealt: Any, number: int) -> list[Any]:
        """Return the elements of what was dealt, each as the result of a task."""
        # A group of tasks for each: of a large one, the scheduler would not regard where its data are.
        group = f"{AT_ONCE}-{uuid4().hex}"
        keys = [(group, place) for place in range(number)]
        found: list[Any] = self._client.map(tasks.element, [dealt] * number, range(number), key=keys, pure=False)
        return found

    def _run_buckets(
        self,
        pieces: list[list[Any]],
        work: Callable[[Sequence[Any]], Iterator[Found]],
        join: Callable[[Found, Found], Found] | None = None,
        progress: Callable[[float], None] = untold,
    ) -> Iterator[Found]:
        """Yield what work yields for the pieces of each bucket, or all of it joined; the pieces are given up."""
        sent = self._sent(self._work(work, join), len(pieces[0]))
        each = [self._client.submit(tasks.bucketed, sent, *bucket, pure=False) for bucket in zip(*pieces, strict=True)]
        pieces.clear()
        wave = Wave(each, each if join is None else self._together(sent, each), 0)
        told = partial(_told, progress, wave, len(each))
        if join is not None:
            yield from _found(tasks.merged(join, NOTHING, self._awaited(wave.joined, told)))
            return
        for outcome in self._each(wave, told):
            yield from _found(outcome)

    def _work(self, work: Callable[..., Any], join: Callable[..., Any] | None) -> bytes:
        """Return work as workers get it: what they are to see first can be unpickled without the files."""
        return pickle.dumps(Work(tasks.versions(), pickle.dumps(self._probe), pickle.dumps((work, join))))

    def _sent(self, pickled: bytes, tasks: int) -> Any:
        """Return what so many tasks get; if it is large, a task that holds it: a worker takes it from another one."""
        if 0 < len(pickled) * tasks <= SENT_BYTES:
            return pickled
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Dask's advice to scatter large values, which are lost with a worker
            return self._client.submit(bytes, pickled, pure=False)

    def _awaited(self, futures: list[Any], told: Callable[[], None]) -> list[Outcome]:
        """Return what tasks return, while there are workers.

        Raises
        ------
        ReadWriteError
            If scheduler or workers are lost, or a task ends one worker after the other.
        """

        async def gathered() -> list[bytes]:
            with self._client.as_current():
                await distributed.wait(futures)  # type: ignore[no-untyped-call]
            found: list[bytes] = await self._client.gather(futures)
            return found

        # Not begun again at each look: large results take longer than that.
        gathering = asyncio.run_coroutine_threadsafe(gathered(), self._client.loop.asyncio_loop)
        try:
            told()
            while not wait([gathering], LOOK_SECONDS).done:
                self._threads()
                told()
        finally:
            gathering.cancel()
        try:
            return [pickle.loads(each) for each in gathering.result()]  # noqa: S301 - of our own tasks
        except distributed.KilledWorker as error:
            raise ReadWriteError(
                f"part of the work ended each of the workers that tried it, at last {error.last_worker.address}; "
                "do they have enough memory?"
            ) from error
        except LOST as error:
            if any(future.status == "error" for future in futures):
                raise  # the task's own
            raise self._lost() from error

    def _lost(self) -> ReadWriteError:
        return ReadWriteError(f"the scheduler {self._address} is lost; run again")

    @property
    def _address(self) -> str:
        return str(self._client.scheduler.address if self._client.scheduler else self._workers.scheduler)

    def _threads(self) -> dict[str, int]:
        """Return the number of threads of each worker.

        Raises
        ------
        ReadWriteError
            If the scheduler is lost, or there has been no worker for too long.
        """
        try:
            threads: dict[str, int] = self._client.sync(self._client.scheduler.ncores, callback_timeout=ANSWER_SECONDS)
        except LOST as error:
            raise self._lost() from error
        now, timeout = time.monotonic(), self._workers.timeout
        self._alone_since = None if threads else self._alone_since or now
        if self._alone_since is not None and now - self._alone_since > timeout:
            raise ReadWriteError(
                f"the scheduler {self._address} has had no worker for {timeout:g} s; "
                f"start some with dask worker {self._address}, or wait longer with `worker_timeout=SECONDS`"
            )
        return threads


def _drawn(items: Iterable[Any]) -> Iterator[Any]:
    """Yield items; an error in drawing one as if it were one, so that it is raised in its turn."""
    try:
        yield from items
    except MsecliError as error:
        yield Broken(error)


def _found(outcome: Outcome) -> Iterator[Any]:
    """Yield the results, then raise the error."""
    yield from outcome.found
    if outcome.error is not None:
        raise outcome.error


def _told(progress: Callable[[float], None], wave: Wave, total: int) -> None:
    """Tell which share of the items is done, as far as this wave."""
    done = wave.before + sum(each.done() for each in wave.each)
    if done < total:
        progress(done / total)


def _address_in(path: str) -> str:
    """Return the address in a scheduler file.

    Raises
    ------
    ReadWriteError
    """
    try:
        with open(path, encoding="utf-8") as file:
            return str(json.load(file)["address"])
    except OSError as error:
        raise ReadWriteError(f"{path}: cannot read: {error.strerror or error}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise ReadWriteError(
            f"{path}: this is no file of a scheduler; one is written by dask scheduler --scheduler-file {path}"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask from writing its log to standard error: what matters is in errors."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in {"distributed", "tornado"}]
    before = [(logger, logger.level) for logger in map(logging.getLogger, ("distributed", *names))]
    for logger, _ in before:
        logger.setLevel(SILENT)
    try:
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)
