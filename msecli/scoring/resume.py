"""Passes over the data that resume: what the workers of a cluster find is kept in a journal, some items at a time.

A journal begins with a header and goes on with records, each a line followed by content, which the header lacks:

* A line holds the schema ("msecli-resume/1"), the SHA-256 of all that follows it, and a JSON object.
* The header's object says what was asked for and of which files, and for how many threads the data were cut into items:
  the same request cuts them in the same way, whatever the workers of the cluster that goes on.
* A record's object has `pass`, the number of the pass over the data; `first` and `items`, which of its items it is of;
  `of`, how many there are, if that is known; and `bytes`, the size of the content: what was found, joined, as a pickle
  that names none but the classes in `TRUSTED`.

What a killed process has cut off at the end is dropped. All else that is not as it was written is refused.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import fields
from functools import partial, reduce
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np

from msecli._version import __version__
from msecli.engines import Engine, untold
from msecli.errors import DataError, MsecliError, ReadWriteError, UsageError
from msecli.places import files_of, paths_of
from msecli.places.state import file_state
from msecli.scoring.plan import Plan
from msecli.scoring.request import Request
from msecli.tuples import NamedTuple

Item = TypeVar("Item")
Found = TypeVar("Found")

SCHEMA = "msecli-resume/1"
LINE_END = b"\n"

OF_THE_RUN = frozenset({
    "predictions", "targets", "weight_file", "coef", "intercept", "params", "baseline", "resume", "engine", "jobs",
    "scheduler", "scheduler_file", "local", "worker_timeout",
})  # fmt: skip
"""The parameters of a request that are told in another way, or do not matter to what is found."""

TRUSTED = (
    "msecli.core.",
    "msecli.formats.base",
    "msecli.pairing.",
    "msecli.scoring.fold",
    "msecli.scoring.resume",
    "msecli.scoring.side_by_side",
    "msecli.scoring.studies",
    "msecli.text.survey",
)
"""Where the classes are that content may name. A journal may come from elsewhere, and must run no code of its own."""
TRUSTED_OF_OTHERS = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
}


class Counted(NamedTuple):
    """What was found in successive items, how many they are, and whether an error has ended another one after these."""

    found: tuple[Any, ...]
    items: int
    failed: bool = False


class Record(NamedTuple):
    """Where a journal holds what was found in some items of a pass."""

    items: int
    begin: int
    size: int


class Journal:
    """What was found in the passes of a run, in a file that is locked meanwhile.

    Parameters
    ----------
    path : str
        Need not exist.
    header : mapping
        What was asked for: "settings", "parameters" and "inputs".
    jobs : int
        For how many threads to cut the data into items, unless the journal has begun with another number.

    Raises
    ------
    UsageError
        If the file is the journal of another request, or of a run that goes on.
    DataError
        If it is none, if it is damaged, or if an input has changed since.
    ReadWriteError
        If it cannot be read or written.
    """

    def __init__(self, path: str, header: Mapping[str, Any], jobs: int) -> None:
        self.path, self.jobs = path, jobs
        self._end = 0
        self._records: dict[int, list[Record]] = {}
        self._of: dict[int, int | None] = {}
        with self._explained():
            self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        try:
            with self._explained():
                self._lock()
                begun = self._read(header)
                # Behind what a killed process has left of its last record.
                self._file.seek(self._end)
                self._file.truncate()
            if not begun:
                self._write({"version": _versions(), **header, "jobs": jobs}, b"")
        except BaseException:
            self._file.close()
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"{self.path}: another run adds to this journal; name another file") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def records(self, number: int, of: int | None) -> Iterator[Counted]:
        """Yield what was found in the first items of a pass.

        Raises
        ------
        DataError
            If the pass was one of another number of items.
        """
        if self._of.setdefault(number, of) != of:
            raise self._damaged(f"pass {number} is one of {self._of[number]} items, not of {of}")
        for record in self._records.get(number, ()):
            with self._explained():
                content = os.pread(self._file.fileno(), record.size, record.begin)
            found: Any = _Trusting(io.BytesIO(content)).load()
            yield Counted(found, record.items)

    def keep(self, number: int, first: int, of: int | None, counted: Counted) -> None:
        """Add what was found in the next items of a pass; it is on the disk when this returns."""
        content = pickle.dumps(counted.found, pickle.HIGHEST_PROTOCOL)
        about = {"pass": number, "first": first, "items": counted.items, "of": of, "bytes": len(content)}
        self._write(about, content)

    def _write(self, about: Mapping[str, Any], content: bytes) -> None:
        import json

        line = json.dumps(about, separators=(",", ":"), ensure_ascii=True).encode()
        with self._explained():
            self._file.write(b" ".join((SCHEMA.encode(), _digest(line, content), line)) + LINE_END + content)
            self._file.flush()
            os.fsync(self._file.fileno())

    def _read(self, header: Mapping[str, Any]) -> bool:
        """Note where the records are; tell whether there is a header, which agrees with the one given."""
        import json

        begun, size = False, self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        if not (SCHEMA.encode() + b" ").startswith(self._file.read(len(SCHEMA) + 1)):
            raise DataError(f"{self.path}: this is no journal of a score; name another file to resume from")
        self._file.seek(0)
        while (line := self._file.readline()).endswith(LINE_END):
            words = line[: -len(LINE_END)].split(b" ", 2)
            try:
                about = json.loads(words[2])
                expected = int(about["bytes"]) if begun else 0
                torn = self._file.tell() + expected > size
            except (ValueError, LookupError, TypeError) as error:
                raise self._damaged("a line cannot be read") from error
            if torn:
                return begun
            begin = self._file.tell()
            if _digest(words[2], self._file.read(expected)) != words[1]:
                raise self._damaged("a checksum is wrong")
            if begun:
                self._note(about, Record(int(about["items"]), begin, expected))
            else:
                self._compare(about, header)
            begun, self._end = True, self._file.tell()
        return begun

    def _note(self, about: Mapping[str, Any], record: Record) -> None:
        known = self._records.setdefault(about["pass"], [])
        if (
            sum(each.items for each in known) != about["first"]
            or self._of.setdefault(about["pass"], about["of"]) != (about["of"])
        ):
            raise self._damaged("a record is missing")
        known.append(record)

    def _compare(self, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
        if there["version"] != _versions():
            raise UsageError(
                f"{self.path}: this journal is of {there['version']}, and this is {_versions()}; {INSTEAD}"
            )
        settings = [name for name, value in here["settings"].items() if there["settings"].get(name) != value]
        names = [f"`{name}`" for name in settings] or (
            ["the numbers of parameters"] if there["parameters"] != here["parameters"] else []
        )
        before, now = (dict(map(tuple, each["inputs"])) for each in (there, here))
        if not names and [*before] != [*now]:
            names = ["the files"]
        if names:
            raise UsageError(
                f"{self.path}: this journal is of another request: {' and '.join(names)} differ; {INSTEAD}"
            )
        for path, state in now.items():
            if before[path] != state:
                raise DataError(
                    f"{path}: the file has changed since the journal {self.path} was begun; remove the journal to "
                    "start again"
                )
        self.jobs = int(there["jobs"])

    def _damaged(self, how: str) -> DataError:
        return DataError(f"{self.path}: this journal is damaged: {how}; remove it to start again")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except MsecliError:
            raise
        except OSError as error:
            raise ReadWriteError(f"{self.path}: cannot write: {error.strerror or error}") from error


INSTEAD = "name another file, or remove this one"


class Resuming:
    """Runs work in another engine, but for what its journal knows. See `msecli.engines.Engine`."""

    def __init__(self, engine: Engine, journal: Journal) -> None:
        self._engine, self._journal, self._passes = engine, journal, 0
        self.jobs, self.distributed = journal.jobs, engine.distributed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._journal.close()

    def checked(self, probe: Callable[[], None]) -> Self:
        """Have every machine call `probe` before it does any work."""
        self._engine = self._engine.checked(probe)
        return self

    def run(
        self,
        work: Callable[[Item], Iterator[Found]],
        items: Iterable[Item],
        join: Callable[[Found, Found], Found] | None = None,
        progress: Callable[[float], None] = untold,
        *,
        stepwise: bool = False,
    ) -> Iterator[Found]:
        """Yield what the journal has of the first items, then what `work` yields for the others."""
        # Passes are numbered as they are asked for: one may begin while the results of another are still being taken.
        number, self._passes = self._passes, self._passes + 1
        return self._run(number, work, items, join, progress)

    def _run(
        self,
        number: int,
        work: Callable[[Item], Iterator[Found]],
        items: Iterable[Item],
        join: Callable[[Found, Found], Found] | None,
        progress: Callable[[float], None],
    ) -> Iterator[Found]:
        of, done = len(items) if isinstance(items, Sized) else None, 0
        for counted in self._journal.records(number, of):
            done += counted.items
            yield from counted.found
        left: Iterable[Item] = items[done:] if isinstance(items, Sequence) else islice(items, done, None)
        if of == done:
            return
        share = done / of if of else 0.0
        told = partial(_told, progress, share)
        for counted in self._engine.run(partial(_counted, work), left, partial(_joined, join), told, stepwise=True):
            if not counted.failed:  # an item that an error has ended is tried again
                self._journal.keep(number, done, of, counted)
            done += counted.items
            yield from counted.found


def _told(progress: Callable[[float], None], share: float, more: float) -> None:
    progress(share + (1 - share) * more)


def _counted(work: Callable[[Item], Iterator[Found]], item: Item) -> Iterator[Counted]:
    """Yield what work yields for an item, and that it was one; before an error, what was found and no item."""
    found: list[Any] = []
    try:
        found.extend(work(item))
    except MsecliError:
        yield Counted(tuple(found), 0, failed=True)
        raise
    yield Counted(tuple(found), 1)


def _joined(join: Callable[[Found, Found], Found] | None, left: Counted, right: Counted) -> Counted:
    found = (*left.found, *right.found)
    if join is not None and found:
        found = (reduce(join, found),)
    return Counted(found, left.items + right.items, left.failed or right.failed)


class _Trusting(pickle.Unpickler):
    """Makes none but plain values and the classes that states consist of."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class, if it may be made."""
        if module.startswith(TRUSTED) and "." not in name:
            found = super().find_class(module, name)
            if isinstance(found, type) and found.__module__ == module:  # not what the module has imported
                return found
        if (module, name) in TRUSTED_OF_OTHERS:
            return super().find_class(module, name)
        raise DataError(f"a journal that holds {module}.{name} is none of msecli")


def resuming(plan: Plan, engine: Engine) -> Resuming:
    """Return an engine that resumes from the journal that a request names.

    Raises
    ------
    UsageError, DataError, ReadWriteError
        If the journal is not one of this request and these files.
    """
    return Resuming(engine, Journal(str(plan.request.resume), _header(plan), engine.jobs))


def _header(plan: Plan) -> dict[str, Any]:
    request = plan.request
    values = {each.name: getattr(request, each.name) for each in fields(Request) if each.name not in OF_THE_RUN}
    parameters = hashlib.sha256()
    model = () if plan.model is None else (plan.model.coef, plan.model.intercept)
    for array in (*model, *plan.penalized):
        parameters.update(repr(None if array is None else array.shape).encode())
        parameters.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    return {
        "settings": {name: repr(sorted(value) if name == "keep" else value) for name, value in values.items()},
        "parameters": parameters.hexdigest(),
        "inputs": [list(each) for each in _states_of(request)],
    }


def _states_of(request: Request) -> Iterator[tuple[str, str]]:
    """Yield each file of rows, and what changes with its content."""
    for path in paths_of(request.inputs):
        for file in files_of(path):
            state = file_state(file)
            if state is None:
                raise UsageError(
                    f"{file}: the server does not tell when the file changes, so it cannot be resumed from"
                )
            yield state.path, f"{state.size} {state.version}"


def _versions() -> str:
    return f"msecli {__version__}, Python {sys.version_info[0]}.{sys.version_info[1]}, NumPy {np.__version__}"


def _digest(line: bytes, content: bytes) -> bytes:
    return hashlib.sha256(line + LINE_END + content).hexdigest().encode()
