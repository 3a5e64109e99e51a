"""The workers of a Dask cluster: parts are read and their results joined there, and one result comes back.

Parts are sent in waves of a few for each thread, so that neither this process nor the scheduler ever knows of many. The
results of a wave are joined pair by pair, then with those of the waves before it.

What travels between workers are pickled results in bytes. So a task changes nothing that another may need again, and
Dask, which runs tasks again when a worker is lost, may do so with any of them.
"""

from __future__ import annotations

import json
import logging
import pickle
import platform
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Sized
from concurrent.futures import CancelledError
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import lru_cache, partial, reduce
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import distributed
from distributed.comm.core import CommClosedError

from msecli.engines import Exchange, Workers, untold
from msecli.errors import MsecliError, ReadWriteError, UsageError

Item = TypeVar("Item")
Found = TypeVar("Found")
Told = TypeVar("Told")

ITEMS_PER_THREAD, FEWEST_ITEMS = 8, 32
"""Items of a wave: enough for each thread to be busy until the next wave has come."""
WAVES = 2
"""Waves that are under way at once."""
JOINED_AT_ONCE = 8
"""Results that a task joins."""
LOOK_SECONDS, ANSWER_SECONDS = 0.5, 10.0
"""How often to look whether scheduler and workers are still there, and how long to wait for the scheduler's answer."""
KEPT = 4
"""Descriptions of work and of items that a worker keeps."""
SHOWN = 5
"""Workers that an error names."""
SILENT = logging.CRITICAL + 1
LOST = (TimeoutError, OSError, CancelledError, CommClosedError, RuntimeError)
"""What Dask raises when the scheduler is lost."""
LIBRARIES = ("msecli", "numpy", "pyarrow")
"""What must be of the same version everywhere, besides Python."""
CERTIFICATES = tuple(f"DASK_DISTRIBUTED__COMM__TLS__{name}" for name in ("CA_FILE", "CLIENT__CERT", "CLIENT__KEY"))
"""What says where a client's certificates are, unless a file of Dask's configuration does."""
ADVICE = (
    "start a cluster with the commands dask scheduler and dask worker tcp://HOST:8786, and name it with "
    "`scheduler=tcp://HOST:8786`, or with `scheduler_file=FILE`; `local=2` starts two workers on this machine"
)


class Outcome(NamedTuple):
    """The results of some items, in order, up to the first error."""

    found: tuple[Any, ...]
    error: MsecliError | None


class Wave(NamedTuple):
    """Items under way.

    Parameters
    ----------
    each : list of Future
        The outcomes of the items.
    joined : Future, optional
        That of these items, and of those before them unless waves stay apart, if they are joined.
    failed : Future, optional
        Whether it has an error.
    before : int
        The number of items in the waves before this one.
    """

    each: list[Any]
    joined: Any
    failed: Any
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
            while not (threads := sum(self._threads().values())):
                time.sleep(LOOK_SECONDS / 10)
        except BaseException:
            self._stack.close()
            raise
        self.jobs = threads
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _connected(self) -> Any:
        """Return a client of the cluster, which is started first if it is to be on this machine."""
        timeout = self._workers.timeout
        address: Any = self._workers.scheduler
        if self._workers.local is not None:
            # As one started by hand: a process for each worker, which is started again if it ends.
            address = distributed.LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=self._workers.local, threads_per_worker=1, dashboard_address=":0", silence_logs=SILENT
            )
            self._stack.callback(address.close)
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

    def check(self, probe: Callable[[], None]) -> None:
        """See that every worker has the same libraries, and call `probe` there."""
        here = {name: _version(name) for name in LIBRARIES} | {"python": platform.python_version()}
        # Not a function of msecli, which a worker may lack.
        there = {name: self._everywhere(version, name) for name in LIBRARIES}
        there["python"] = self._everywhere(platform.python_version)
        problems = [
            f"worker {worker} has {name} {'not at all' if isinstance(found, Exception) else found}, "
            f"this process has {here[name]}"
            for name, workers in there.items()
            for worker, found in workers.items()
            if found != here[name]
        ]
        if problems:
            raise ReadWriteError("\n".join([*problems[:SHOWN], "install the same versions everywhere"]))
        for worker, error in self._everywhere(_probed, pickle.dumps(probe)).items():
            if isinstance(error, MsecliError):
                raise type(error)(f"worker {worker}: {error.args[0]}") from error
            if error is not None:
                raise error

    def _everywhere(self, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        """Return what a function returns, or raises, on each worker that is there until then."""
        found: dict[str, Any] = self._client.run(function, *arguments, on_error="return")
        gone = (OSError, CommClosedError)
        return {
            worker: each
            for worker, each in found.items()
            if isinstance(each, MsecliError) or not isinstance(each, gone)
        }

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
        sent = self._sent((work, join))
        joined = None
        with closing(self._waves(sent, _drawn(items), joined=join is not None, apart=stepwise)) as waves:
            for wave in waves:
                told = partial(_told, progress, wave, total)
                if join is None:
                    for each in wave.each:
                        yield from _results(self._awaited(each, told))
                elif stepwise:
                    yield from _results(self._awaited(wave.joined, told))
                else:
                    joined = wave.joined
                    if self._awaited(wave.failed, told):
                        # Raised before other waves are cancelled, and all that depends on them.
                        yield from _results(self._awaited(joined))
        if joined is not None:
            yield from _results(self._awaited(joined))

    def _waves(self, sent: Any, items: Iterator[Any], *, joined: bool, apart: bool) -> Generator[Wave, None, None]:
        """Yield all waves in order; a few are under way at the same time. They are joined unless they stay apart."""
        ahead: deque[Wave] = deque()
        size, begun, last = max(FEWEST_ITEMS, ITEMS_PER_THREAD * self.jobs), 0, None
        try:
            while True:
                while len(ahead) < WAVES and (drawn := list(islice(items, size))):
                    ahead.append(self._wave(sent, drawn, begun, last, joined=joined))
                    begun, last = begun + len(drawn), None if apart else ahead[-1].joined
                if not ahead:
                    return
                yield ahead[0]
                ahead.popleft()
        finally:
            # Not cancelled, which the scheduler refuses, and then hangs up, where others are made of what nobody holds.
            for number, wave in enumerate(ahead):
                for future in (*wave.each, *((wave.joined, wave.failed) if number and joined else ())):
                    future.release()

    def _wave(self, sent: Any, items: list[Any], before: int, last: Any, *, joined: bool) -> Wave:
        submit = partial(self._client.submit, pure=False)
        each = self._client.map(_worked, range(len(items)), sent=sent, items=self._sent(items), pure=False)
        if not joined:
            return Wave(each, None, None, before)
        together = self._together(sent, each)
        whole = together if last is None else submit(_joined, sent, last, together)
        return Wave(each, whole, submit(_has_failed, whole), before)

    def _together(self, sent: Any, level: Sequence[Any]) -> Any:
        """Return the outcome of all, joined in a tree."""
        submit = partial(self._client.submit, pure=False)
        while len(level) > 1:
            groups = [level[start : start + JOINED_AT_ONCE] for start in range(0, len(level), JOINED_AT_ONCE)]
            level = [submit(_joined, sent, *group) if len(group) > 1 else group[0] for group in groups]
        return level[0]

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
        sent = self._sent((deal, join))
        dealt = self._client.map(
            _dealt, range(len(items)), sent=sent, items=self._sent(list(items)), buckets=buckets, pure=False
        )
        return self._exchanged(sent, dealt, buckets, progress)

    def _exchange_buckets(
        self,
        pieces: list[list[Any]],
        deal: Callable[[Sequence[Any]], tuple[Told, Sequence[Any]]],
        join: Callable[[Told, Told], Told],
        buckets: int,
        progress: Callable[[float], None] = untold,
    ) -> Exchange[Told]:
        """Deal the pieces of each bucket again; they are given up."""
        sent, submit = self._sent((deal, join)), partial(self._client.submit, pure=False)
        dealt = [submit(_dealt_again, sent, buckets, *bucket) for bucket in zip(*pieces, strict=True)]
        pieces.clear()
        return self._exchanged(sent, dealt, buckets, progress)

    def _exchanged(self, sent: Any, dealt: list[Any], buckets: int, progress: Callable[[float], None]) -> Exchange[Any]:
        """Return what is told of all that was dealt, and its pieces."""
        submit = partial(self._client.map, pure=False)
        told = submit(_element, dealt, place=0)
        pieces = [submit(_element, [each] * buckets, range(1, buckets + 1)) for each in dealt]
        dealt.clear()  # so that workers forget what they hold as pieces
        wave = Wave(told, self._together(sent, told), None, 0)
        (whole,) = _results(self._awaited(wave.joined, partial(_told, progress, wave, len(told))))
        return Exchange(whole, partial(self._run_buckets, pieces), partial(self._exchange_buckets, pieces))

    def _run_buckets(
        self,
        pieces: list[list[Any]],
        work: Callable[[Sequence[Any]], Iterator[Found]],
        join: Callable[[Found, Found], Found] | None = None,
        progress: Callable[[float], None] = untold,
    ) -> Iterator[Found]:
        """Yield what work yields for the pieces of each bucket, or all of it joined; the pieces are given up."""
        sent = self._sent((work, join))
        each = [self._client.submit(_bucketed, sent, *bucket, pure=False) for bucket in zip(*pieces, strict=True)]
        pieces.clear()
        wave = Wave(each, None if join is None else self._together(sent, each), None, 0)
        told = partial(_told, progress, wave, len(each))
        for future in each if join is None else [wave.joined]:
            yield from _results(self._awaited(future, told))

    def _sent(self, value: Any) -> Any:
        """Return a task that holds a value, pickled; a worker that needs it takes it from another one."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Dask's advice to scatter large values, which are lost with a worker
            return self._client.submit(bytes, pickle.dumps(value), pure=False)

    def _awaited(self, future: Any, told: Callable[[], None] = lambda: None) -> Any:
        """Return what a task returns, while there are workers.

        Raises
        ------
        ReadWriteError
            If scheduler or workers are lost, or the task ends one worker after the other.
        """
        while True:
            told()
            try:
                return future.result(timeout=LOOK_SECONDS)
            except distributed.KilledWorker as error:
                raise ReadWriteError(
                    f"part of the work ended each of the workers that tried it, at last {error.last_worker.address}; "
                    "do they have enough memory?"
                ) from error
            except LOST as error:
                if future.status == "error":
                    raise  # the task's own
                if not isinstance(error, TimeoutError):
                    raise ReadWriteError(f"the scheduler {self._address} is lost; run again") from error
            self._threads()

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
            raise ReadWriteError(f"the scheduler {self._address} is lost; run again") from error
        now, timeout = time.monotonic(), self._workers.timeout
        self._alone_since = None if threads else self._alone_since or now
        if self._alone_since is not None and now - self._alone_since > timeout:
            raise ReadWriteError(
                f"the scheduler {self._address} has had no worker for {timeout:g} s; "
                f"start some with dask worker {self._address}, or wait longer with `worker_timeout=SECONDS`"
            )
        return threads


class Broken(NamedTuple):
    """Stands for the item that could not be drawn."""

    error: MsecliError


def _drawn(items: Iterable[Any]) -> Iterator[Any]:
    """Yield items; an error in drawing one as if it were one, so that it is raised in its turn."""
    try:
        yield from items
    except MsecliError as error:
        yield Broken(error)


def _results(pickled: bytes) -> Iterator[Any]:
    outcome: Outcome = pickle.loads(pickled)  # noqa: S301 - of our own task
    yield from outcome.found
    if outcome.error is not None:
        raise outcome.error


def _told(progress: Callable[[float], None], wave: Wave, total: int) -> None:
    """Tell which share of the items is done, as far as this wave."""
    done = wave.before + sum(each.done() for each in wave.each)
    if done < total:
        progress(done / total)


# What follows runs in the workers.


@lru_cache(KEPT)
def _unpickled(value: bytes) -> Any:
    return pickle.loads(value)  # noqa: S301 - of our own client


def _worked(number: int, sent: bytes, items: bytes) -> bytes:
    """Return the pickled outcome of an item."""
    return _outcome(sent, _unpickled(items)[number])


def _bucketed(sent: bytes, *pieces: bytes) -> bytes:
    """Return the pickled outcome of the pieces of a bucket."""
    return _outcome(sent, [pickle.loads(each) for each in pieces if each])  # noqa: S301 - of our own tasks


def _outcome(sent: bytes, item: Any) -> bytes:
    found: list[Any] = []
    try:
        work, join = _unpickled(sent)
        if isinstance(item, Broken):
            raise item.error
        for each in work(item):
            found = [join(found[0], each)] if found and join is not None else [*found, each]
    except MsecliError as error:
        return pickle.dumps(Outcome(tuple(found), error))
    return pickle.dumps(Outcome(tuple(found), None))


def _dealt(number: int, sent: bytes, items: bytes, buckets: int) -> tuple[bytes, ...]:
    """Return the pickled outcome of dealing an item, and its pieces."""
    return _pieces(sent, buckets, _unpickled(items)[number])


def _dealt_again(sent: bytes, buckets: int, *pieces: bytes) -> tuple[bytes, ...]:
    """Return the pickled outcome of dealing the pieces of a bucket, and what they become."""
    return _pieces(sent, buckets, [pickle.loads(each) for each in pieces if each])  # noqa: S301 - of our own tasks


def _pieces(sent: bytes, buckets: int, item: Any) -> tuple[bytes, ...]:
    deal, _ = _unpickled(sent)
    try:
        told, pieces = deal(item)
    except MsecliError as error:
        return pickle.dumps(Outcome((), error)), *([b""] * buckets)
    return pickle.dumps(Outcome((told,), None)), *(b"" if each is None else pickle.dumps(each) for each in pieces)


def _element(dealt: tuple[bytes, ...], place: int) -> bytes:
    return dealt[place]


def _joined(sent: bytes, *outcomes: bytes) -> bytes:
    """Return the pickled outcome of successive items together."""
    _, join = _unpickled(sent)
    whole: Outcome = pickle.loads(outcomes[0])  # noqa: S301 - of our own tasks
    for pickled in outcomes[1:]:
        if whole.error is not None:
            break
        more: Outcome = pickle.loads(pickled)  # noqa: S301
        found = (*whole.found, *more.found)
        whole = Outcome((reduce(join, found),) if found else (), more.error)
    return pickle.dumps(whole)


def _has_failed(outcome: bytes) -> bool:
    return pickle.loads(outcome).error is not None  # noqa: S301


def _probed(probe: bytes) -> MsecliError | None:
    """Return the error of a probe, if it raises one."""
    try:
        pickle.loads(probe)()  # noqa: S301 - of our own client
    except MsecliError as error:
        return error
    return None


# And this here again.


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


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
