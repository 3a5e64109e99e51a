"""Scores whose rows are read by the workers of a distributed engine: what they cannot do, and what they must see."""

from __future__ import annotations

import codecs
import io
import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from msecli.engines import ENGINES, Engine, Workers, engine_named
from msecli.errors import DataError, ReadWriteError, UsageError, setting
from msecli.formats.base import Countable, Source, see
from msecli.places import is_path, is_url, paths_of
from msecli.places.file import STDIN
from msecli.scoring.spans import count_rows
from msecli.text.encoding import PLAIN

if TYPE_CHECKING:
    from msecli.scoring.plan import Plan
    from msecli.scoring.request import Request

ADDRESSES = ("scheduler", "scheduler_file", "local")
"""The parameters that say where workers are."""


def check_engine(request: Request) -> None:
    """Refuse what the engine of a request cannot do, and the address of workers that none would work for.

    Raises
    ------
    UsageError
    """
    name = request.engine
    check_workers(name, request.workers, request.jobs)
    if not engine_named(name).distributed:
        if request.resume is not None:
            raise _for_workers("resume")
        return
    _check_journal(request)
    for data, parameter in zip(request.inputs, request.input_names, strict=True):
        check_input(name, data, parameter, request.reading.of(parameter).encoding)


def _check_journal(request: Request) -> None:
    """Refuse a journal that cannot be written, or of what cannot be resumed."""
    if request.resume is None:
        return
    if request.on:
        raise UsageError("`resume`: a score of rows that are paired by a key cannot be resumed")
    if is_url(request.resume):
        raise UsageError(f"`resume`: {request.resume} is not on this machine, as the journal must be")


def check_workers(name: str, workers: Workers, jobs: int | None) -> None:
    """Refuse an address of workers that the engine of this name does not use, and what else does not go with it.

    Raises
    ------
    UsageError
    """
    given = [each for each in ADDRESSES if getattr(workers, each) is not None]
    if not engine_named(name).distributed:
        if given:
            raise _for_workers(given[0])
        return
    if len(given) > 1:
        raise UsageError(f"`{given[0]}` and `{given[1]}` both say where the workers are; choose one")
    if workers.local is not None and workers.local < 1:
        raise UsageError(f"`local`: {workers.local} is not a number of at least 1")
    if not workers.timeout > 0:
        raise UsageError(f"`worker_timeout`: {workers.timeout:g} is not a number of seconds above 0")
    if jobs is not None:
        raise UsageError(f"`jobs` is for threads of this process; {setting('engine', name)} has those of its workers")


def _for_workers(parameter: str) -> UsageError:
    engine = next(entry.name for entry in ENGINES.values() if entry.distributed)
    return UsageError(f"`{parameter}` is for an engine with workers: `+engine={engine}`")


def check_input(name: str, data: object, parameter: str, encoding: str | None) -> None:
    """Refuse what only this process can read."""
    if not is_path(data):
        raise UsageError(f"{setting('engine', name)} reads files that all workers see, and `{parameter}` is in memory")
    for path in paths_of([data]):
        if path == STDIN or (os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))):
            raise UsageError(
                f"{setting('engine', name)} reads files that all workers see, and {path} is a stream; "
                "write it to a file"
            )
        if encoding is not None and codecs.lookup(encoding).name not in PLAIN:
            raise UsageError(
                f"{setting('engine', name)} reads text in UTF-8; convert {path} first, for example with iconv"
            )


def refuse_distributed(name: str, task: str) -> None:
    """Refuse an engine with workers for a task that they cannot do.

    Raises
    ------
    UsageError
    """
    if engine_named(name).distributed:
        raise UsageError(f"{setting('engine', name)} does not {task} yet; use `engine=local`")


def check_plan(plan: Plan) -> None:
    """Refuse what the engine of a plan cannot do.

    Raises
    ------
    UsageError
    """
    name = plan.request.engine
    if not engine_named(name).distributed:
        return
    check_sources(plan.sources, name)


def check_sources(sources: Sequence[Source], engine: str) -> None:
    """Refuse sources that only this process can read.

    Raises
    ------
    UsageError
    """
    for source in sources:
        # Of compressed text a worker reads a whole file.
        path = only_here(source) if isinstance(source, Countable) else only_here(source) or streamed(source)
        if path is not None and is_url(path):
            raise UsageError(
                f"{setting('engine', engine)} reads {source.format} files in parts, and {path} is compressed, or its "
                "server sends only whole files; copy what it holds to where all workers see it, or use `engine=local`"
            )
        if path is not None:
            raise UsageError(
                f"{setting('engine', engine)} reads {source.format} files in parts, and {path} is compressed; "
                "decompress it, or use `engine=local`"
            )
        if source.cuts() is None and not isinstance(source, Countable):
            raise UsageError(f"{source.path}: {source.format} files cannot be read by the workers of a cluster yet")


def only_here(source: Source) -> str | None:
    """Return the path of what only this process can read: bytes without a name of their own; None if nothing."""
    return _holding(source, "unnamed")


def streamed(source: Source) -> str | None:
    """Return the path of what can be read only from its beginning: a stream, or a compressed file; None if nothing."""
    return _holding(source, "streamed")


def _holding(source: Source, marked: str) -> str | None:
    try:
        _Pickler(marked).dump(source)
    except _FoundError as error:
        return error.path
    return None


class _FoundError(Exception):
    """What was sought is among what was pickled."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path


class _Pickler(pickle.Pickler):
    """Seeks what is marked by an attribute, before it is pickled, which may take long."""

    def __init__(self, marked: str) -> None:
        super().__init__(io.BytesIO())
        self._marked = marked

    def persistent_id(self, found: Any) -> None:
        """Raise an error with the path of what is marked."""
        if getattr(found, self._marked, False) is True:
            raise _FoundError(found.path)


def prepared_for(plan: Plan, engine: Engine) -> Engine:
    """Return an engine whose workers see that they can read what a plan needs; distributed ones have counted rows.

    Raises
    ------
    UsageError
        If the plan asks for what they cannot do.
    ReadWriteError
        If one lacks a library, or does not see a file as it is here.
    """
    if not engine.distributed:
        return engine
    check_plan(plan)
    return prepared(plan.sources, engine)


def prepared(sources: Sequence[Source], engine: Engine) -> Engine:
    """Return a distributed engine whose workers see that they can read sources, and have counted rows."""
    checked = engine.checked(partial(_see, [(source.path, pickle.dumps(source)) for source in sources]))
    count_rows(sources, checked)
    return checked


@contextmanager
def resumable(plan: Plan, engine: Engine) -> Iterator[Engine]:
    """Yield the engine, or one that resumes if the request names a journal, and keeps there what is found.

    Raises
    ------
    UsageError, DataError, ReadWriteError
        If the journal is not one of this request and these files.
    """
    if plan.request.resume is None:
        yield engine
        return
    from msecli.scoring.resume import resuming

    with resuming(plan, engine) as journaled:
        yield journaled


def end_journal(request: Request) -> None:
    """Remove the journal of a request whose result is where it belongs, so that the next run begins anew.

    Raises
    ------
    ReadWriteError
    """
    if request.resume is None:
        return
    try:
        with suppress(FileNotFoundError):
            os.unlink(request.resume)
    except OSError as error:
        raise ReadWriteError(f"{request.resume}: cannot remove: {error.strerror or error}") from error


def _see(sources: list[tuple[str, bytes]]) -> None:
    """Open the files again that another machine has opened, unchanged."""
    for path, pickled in sources:
        try:
            source: Source = pickle.loads(pickled)  # noqa: S301 - of the process that runs this
            see(source)
        except ReadWriteError as error:
            raise ReadWriteError(f"{error.args[0]}; all workers must see the files under the same paths") from error
        except DataError as error:
            raise ReadWriteError(
                f"{path}: the file there has another size or time of change than here; "
                "all workers must see the same files"
            ) from error
