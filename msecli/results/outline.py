"""What a run would do: the parts it would read, how its rows would be paired, and the memory that takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msecli._version import __version__
from msecli.results.base import SCHEMA, Line, Number, Report, Row, Section, jsonable, plural
from msecli.tuples import NamedTuple

MIB = 1 << 20


class OutlinedInput(NamedTuple):
    """One of the inputs.

    Attributes
    ----------
    path, format : str
    files : int
        How many files it consists of.
    bytes : int or None
        Their size; None of a stream.
    rows : int or None
        None if they have yet to be counted.
    rows_about : int or None
        How many rows there are then, judging by the first ones.
    parts : int or None
        How many parts of it would be read; None of a stream, whose parts come as they are read.
    """

    path: str
    format: str
    files: int
    bytes: int | None
    rows: int | None
    rows_about: int | None
    parts: int | None


@dataclass(frozen=True, slots=True, repr=False)
class Outline(Report):
    """What a run would do.

    Attributes
    ----------
    engine : str
        Its name.
    distributed : bool
        Whether the engine has workers elsewhere.
    threads : int or None
        How many tasks it would run at once; None if that is known only to the cluster, and then there may be more, and
        shorter, tasks.
    inputs : tuple of OutlinedInput
    pairing : str
        "position", "key" or "one file".
    keys : tuple of str
    surveys : int
        Tasks of a first pass, which counts the rows of text.
    tasks : int or None
        Tasks that read, pair and score rows; None if parts are read by themselves, and their rows are paired here. Of
        rows that are dealt into buckets they are those that read.
    tasks_about : bool
        Whether their number, and that of the parts, is an estimate.
    process_bytes, thread_bytes : int
        The memory that a process is expected to take, without the sums of groups, and each of its threads besides.
    buckets : int or None
        Into how many buckets rows are dealt that are paired by key elsewhere.
    ordered : bool
        Whether they are then put in order.
    """

    engine: str
    distributed: bool
    threads: int | None
    inputs: tuple[OutlinedInput, ...]
    pairing: str
    keys: tuple[str, ...]
    surveys: int
    tasks: int | None
    tasks_about: bool
    process_bytes: int
    thread_bytes: int
    buckets: int | None = None
    ordered: bool = False
    version: str = __version__

    @property
    def rows(self) -> int | None:
        """The number of rows, if it is known."""
        return next((each.rows for each in self.inputs if each.rows is not None), None)

    @property
    def rows_about(self) -> int | None:
        """The number of rows at a guess."""
        return next((each.rows_about for each in self.inputs if each.rows_about is not None), None)

    @property
    def bytes(self) -> int:
        """The size of all files, as far as it is known."""
        return sum(each.bytes or 0 for each in self.inputs)

    @property
    def parts(self) -> int | None:
        """How many parts would be read."""
        known = [each.parts for each in self.inputs if each.parts is not None]
        return sum(known) if len(known) == len(self.inputs) else None

    @property
    def worker_bytes(self) -> int:
        """The memory that a worker of one thread, or this process with all of its threads, is expected to take."""
        threads = 1 if self.distributed or self.threads is None else self.threads
        return self.process_bytes + threads * self.thread_bytes

    @property
    def what(self) -> Row:
        """What is told."""
        return ("plan of a run, nothing scored",)

    def numbers(self) -> dict[str, Number]:
        """Return the main numbers by name; rows are those at a guess if they are not known."""
        rows = "rows" if self.rows is not None else "rows_about"
        return {
            "files": sum(each.files for each in self.inputs),
            "bytes": self.bytes,
            rows: self.rows if self.rows is not None else self.rows_about,
            "parts": self.parts,
            "surveys": self.surveys,
            "tasks": self.tasks,
            "buckets": self.buckets,
            "threads": self.threads,
            "worker_bytes": self.worker_bytes,
        }

    def lines(self) -> list[Line]:
        """Return a line for each number that is known."""
        return [Line(name, {"value": number}) for name, number in self.numbers().items() if number is not None]

    def records(self, missing_label: str | None = None) -> list[dict[str, Any]]:
        """Return a row for each input."""
        return [each._asdict() for each in self.inputs]

    def sections(self) -> list[Section]:
        """Return a table of the inputs, and sentences about what would be done with them."""
        about = "about " if self.tasks_about else ""
        rows: list[Row] = [
            (
                each.path,
                each.format,
                "" if each.bytes is None else each.bytes,
                _counted(each),
                "" if each.parts is None else each.parts,
            )
            for each in self.inputs
        ]
        notes = (self._paired(), self._tasks(about), self._memory())
        header = ("input", "format", "bytes", "rows", "parts")
        return [Section(header, rows, kind="input", complete="json"), *(Section(None, note=note) for note in notes)]

    def _paired(self) -> Row:
        if self.pairing == "key":
            return (f"rows are paired by the {plural('key', len(self.keys))} {', '.join(map(repr, self.keys))}",)
        return ("rows are paired by position" if self.pairing == "position" else "a row holds both columns",)

    def _tasks(self, about: str) -> Row:
        if not self.distributed:
            threads = self.threads or 1
            where: Row = (f"the engine {self.engine!r}, ", threads, f" {plural('thread', threads)}: ")
            if self.tasks is None:
                return (*where, "parts are read by themselves, and their rows are paired as they come")
            return (*where, self.tasks, f" {plural('task', self.tasks)}, which read, pair and score rows")
        if self.threads is None:
            where = (f"the engine {self.engine!r}, as with one thread, and with more of them more and shorter tasks: ",)
        else:
            where = (f"the engine {self.engine!r}, ", self.threads, f" {plural('thread', self.threads)}: ")
        first: Row = (self.surveys, f" {plural('task', self.surveys)} to count rows, ") if self.surveys else ()
        read: Row = (*where, *first, about, self.tasks or 0, f" {plural('task', self.tasks or 0)} to read")
        if self.buckets is None:
            return (*read, ", pair and score rows")
        tasks = f" {plural('task', self.buckets)}"
        if self.ordered:
            more: Row = (about, self.buckets, f"{tasks} to pair rows, and others to put them in order and score them")
        else:
            more = (about, self.buckets, f"{tasks} to pair and score rows")
        return (*read, " rows and deal them by key, ", *more)

    def _memory(self) -> Row:
        whole, thread = round(self.worker_bytes / MIB), round(self.thread_bytes / MIB)
        if self.distributed:
            return ("memory: about ", whole, " MiB for a worker, and ", thread, " MiB for each thread but the first")
        return ("memory: about ", whole, " MiB")

    def to_dict(self) -> dict[str, Any]:
        """Return the plan in the shape of the JSON output."""
        document = {
            "schema": SCHEMA,
            "explain_plan": True,
            "engine": self.engine,
            "threads": self.threads,
            "pairing": self.pairing,
            "keys": self.keys,
            "rows": self.rows,
            "rows_about": self.rows_about,
            "bytes": self.bytes,
            "parts": self.parts,
            "surveys": self.surveys,
            "tasks": self.tasks,
            "tasks_about": self.tasks_about,
            "buckets": self.buckets,
            "ordered": self.ordered,
            "worker_bytes": self.worker_bytes,
            "thread_bytes": self.thread_bytes,
            "inputs": [each._asdict() for each in self.inputs],
            "version": self.version,
        }
        return dict(jsonable(document))


def _counted(each: OutlinedInput) -> str | int:
    """Return the number of rows for people."""
    if each.rows is not None:
        return each.rows
    return "not counted" if each.rows_about is None else f"about {each.rows_about:,}"
