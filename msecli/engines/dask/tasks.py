"""What runs in the workers of a Dask cluster: tasks from pickled bytes to pickled bytes."""

from __future__ import annotations

import pickle
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache, partial, reduce
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import distributed
from distributed.comm.core import CommClosedError

from msecli.errors import MsecliError, ReadWriteError
from msecli.tuples import NamedTuple

KEPT = 4
"""Descriptions of work and of items that a worker keeps."""
SHOWN = 5
"""Workers that an error names."""
GONE = (OSError, CommClosedError)
"""What Dask raises for a worker that is gone."""
VERSIONS: dict[str, Callable[[], str]] = {
    "python": platform.python_version,
    **{name: partial(version, name) for name in ("msecli", "numpy", "pyarrow")},
}
"""What must be of the same version everywhere."""


class Outcome(NamedTuple):
    """The results of some items, in order, up to the first error."""

    found: tuple[Any, ...]
    error: MsecliError | None


NOTHING = Outcome((), None)
"""The outcome of no items."""


class Work(NamedTuple):
    """What tasks are to do.

    Parameters
    ----------
    versions : tuple of str
        Those that a worker must have.
    probe : bytes
        Pickled: what it calls before.
    work : bytes
        Pickled: the work and what joins its results.
    """

    versions: tuple[str, ...]
    probe: bytes
    work: bytes


class Broken(NamedTuple):
    """Stands for the item that could not be drawn."""

    error: MsecliError


@lru_cache(KEPT)
def _ready(sent: bytes) -> Any:
    """Return work and what joins its results, once it is seen that this worker can do it.

    Raises
    ------
    MsecliError
        If it cannot; the error names the worker.
    """
    work: Work = pickle.loads(sent)  # noqa: S301 - of our own client
    worker = f"worker {distributed.get_worker().address}"
    refuse_others({worker: versions()}, work.versions)
    try:
        probe = pickle.loads(work.probe)  # noqa: S301
        if probe is not None:
            probe()
    except MsecliError as error:
        raise type(error)(f"{worker}: {error.args[0]}") from error
    return pickle.loads(work.work)  # noqa: S301


@lru_cache(KEPT)
def _unpickled(items: bytes) -> Any:
    return pickle.loads(items)  # noqa: S301 - of our own client


def worked(number: int, sent: bytes, items: bytes) -> bytes:
    """Return the pickled outcome of an item."""
    work = _ready(sent)
    return _outcome(work, _unpickled(items)[number])


def bucketed(sent: bytes, *pieces: bytes) -> bytes:
    """Return the pickled outcome of the pieces of a bucket."""
    return _outcome(_ready(sent), [pickle.loads(each) for each in pieces if each])  # noqa: S301 - of our own tasks


def _outcome(ready: tuple[Callable[..., Any], Callable[..., Any] | None], item: Any) -> bytes:
    (work, join), found = ready, list[Any]()
    try:
        if isinstance(item, Broken):
            raise item.error
        for each in work(item):
            found = [join(found[0], each)] if found and join is not None else [*found, each]
    except MsecliError as error:
        return pickle.dumps(Outcome(tuple(found), error))
    return pickle.dumps(Outcome(tuple(found), None))


def dealt(number: int, sent: bytes, items: bytes, buckets: int) -> tuple[bytes, ...]:
    """Return the pickled outcome of dealing an item, and its pieces."""
    return _pieces(_ready(sent), buckets, _unpickled(items)[number])


def dealt_again(sent: bytes, buckets: int, *pieces: bytes) -> tuple[bytes, ...]:
    """Return the pickled outcome of dealing the pieces of a bucket, and what they become."""
    return _pieces(_ready(sent), buckets, [pickle.loads(each) for each in pieces if each])  # noqa: S301 - of our tasks


def _pieces(ready: tuple[Callable[..., Any], Any], buckets: int, item: Any) -> tuple[bytes, ...]:
    deal, _ = ready
    try:
        told, pieces = deal(item)
    except MsecliError as error:
        return pickle.dumps(Outcome((), error)), *([b""] * buckets)
    return pickle.dumps(Outcome((told,), None)), *(b"" if each is None else pickle.dumps(each) for each in pieces)


def element(dealt: tuple[bytes, ...], place: int) -> bytes:
    """Return one of what was dealt."""
    return dealt[place]


def joined(sent: bytes, *outcomes: bytes) -> bytes:
    """Return the pickled outcome of successive items together."""
    _, join = _ready(sent)
    return pickle.dumps(merged(join, NOTHING, map(pickle.loads, outcomes)))


def merged(join: Callable[[Any, Any], Any], whole: Outcome, outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome of items, and of successive ones behind them, up to the first error."""
    for more in outcomes:
        found = (*whole.found, *more.found)
        whole = Outcome((reduce(join, found),) if found else (), more.error)
        if whole.error is not None:
            break
    return whole


@cache
def versions() -> tuple[str, ...]:
    """Return those of this process."""
    return tuple(each() for each in VERSIONS.values())


def refuse_others(there: Mapping[str, Any], here: Sequence[str]) -> None:
    """Refuse processes with other versions, or without a library; those that are gone say nothing.

    Raises
    ------
    ReadWriteError
    """
    problems = list[str]()
    for process, found in there.items():
        if isinstance(found, PackageNotFoundError):
            problems.append(f"{process} has {found.name} not at all")
        elif isinstance(found, Exception):
            if not isinstance(found, GONE):
                raise found
        else:
            problems += [
                f"{process} has {name} {each}, this process has {own}"
                for name, each, own in zip(VERSIONS, found, here, strict=True)
                if each != own
            ]
    if problems:
        raise ReadWriteError("\n".join([*problems[:SHOWN], "install the same versions everywhere"]))
