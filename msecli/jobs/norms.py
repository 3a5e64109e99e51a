"""Vector norms of files, and of the difference of two files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np

from msecli._version import __version__
from msecli.core.exact import FloatArray
from msecli.core.norm import NormSums
from msecli.core.parameters import whole_number
from msecli.core.processor import arithmetic
from msecli.engines.local import LocalEngine
from msecli.errors import DataError, Problems, UsageError
from msecli.jobs.notes import Notes
from msecli.result import SCHEMA, Input, Warned, not_finite, sayable, status
from msecli.sources import open_source
from msecli.sources.base import ARRAY, Block, Note, Reading, Selection, Source
from msecli.sources.columns import find_columns, numeric_columns
from msecli.sources.file import check_streams
from msecli.sources.pairing import Stream, align_positions
from msecli.sources.roles import PREDICTION, Roles, Wishes, assign_roles, check_items, chunk_of


@dataclass(frozen=True, slots=True)
class NormRequest:
    """Which norms of which numbers.

    Parameters
    ----------
    path : str
    other : str, optional
        The norms are those of the difference of the two files.
    orders : tuple of float
        Each at least 1, or infinity.
    columns : tuple of str
        All numeric columns where left out.
    reading : Reading
    jobs : int, optional
    """

    path: str
    other: str | None = None
    orders: tuple[float, ...] = (2.0,)
    columns: tuple[str, ...] = ()
    reading: Reading = field(default_factory=Reading)
    jobs: int | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The files to read."""
        return (self.path,) if self.other is None else (self.path, self.other)


@dataclass(frozen=True, slots=True)
class NormResult:
    """The norms of a vector.

    Attributes
    ----------
    norms : mapping of str to float
        By order, "1", "2", "inf" or a number.
    elements : int
        The length of the vector.
    inputs : tuple of Input
    version : str
    """

    norms: Mapping[str, float]
    elements: int
    inputs: tuple[Input, ...]
    version: str
    warnings: tuple[Warned, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the result in the shape of the JSON output."""
        worst = next((status(value) for value in self.norms.values() if not math.isfinite(value)), "ok")
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "norms": self.norms,
            "status": worst,
            **not_finite(self.norms),
            "elements": self.elements,
            "inputs": [item._asdict() | {"columns": list(item.columns)} for item in self.inputs],
            "warnings": [asdict(warning) for warning in self.warnings],
            "version": self.version,
        }
        return sayable(document)


def check_order(order: float) -> float:
    """Return an order, having refused what is none.

    Raises
    ------
    UsageError
        If it is not at least 1.
    """
    if not order >= 1:
        raise UsageError(f"order {order:g}: the order of a norm is a number of at least 1, or inf")
    return order


def norms(request: NormRequest) -> NormResult:
    """Return the norms of a file's numbers.

    Raises
    ------
    UsageError
        For an impossible order.
    DataError
        If a number is missing, or the files do not pair.
    ReadWriteError
        If a file cannot be read.
    """
    if request.jobs is not None:
        whole_number("jobs", request.jobs)
    orders = [check_order(order) for order in dict.fromkeys(request.orders)]
    check_streams(request.files)
    problems = Problems()
    sources: list[Source] = []
    for path in request.files:
        with problems.collect():
            sources.append(open_source(path, request.reading))
    problems.raise_found()
    vectors = _Vectors(sources, request.columns)
    with arithmetic() as warning, LocalEngine(request.jobs) as engine:
        sums = NormSums(orders)
        for part in engine.run(partial(_sums, values, orders) for values in vectors.read(engine)):
            sums.merge(part)
        found = {_name(order): sums.norm(order) for order in orders}
    if warning:
        vectors.notes.add([Note(*warning)])
    for source in sources:
        source.verify()
    return NormResult(found, vectors.elements, vectors.inputs, __version__, vectors.notes.warned())


def _sums(values: FloatArray, orders: Sequence[float]) -> Iterator[NormSums]:
    yield NormSums.of(values, orders)


def _name(order: float) -> str:
    return str(int(order)) if order.is_integer() else repr(order)


class _Vectors:
    """The numbers of one file, or the differences of two, as flat arrays."""

    def __init__(self, sources: Sequence[Source], columns: tuple[str, ...]) -> None:
        self._sources = sources
        self._roles: Roles | None = None
        self.elements = 0
        self.notes = Notes()
        self._found: list[Note] = [note for source in sources for note in source.notes]
        chosen: tuple[tuple[str, ...], ...]
        if len(sources) > 1:
            self._roles = assign_roles(sources, Wishes(columns, columns), weight_file=False)
            check_items(sources, self._roles)
            self._found += self._roles.notes
            chosen = (self._roles.prediction, self._roles.target)
        else:
            chosen = (_columns(sources[0], columns, self._found),)
        self._selections = [Selection(names, self._roles.index if self._roles else ()) for names in chosen]
        self.inputs = tuple(
            Input(role, source.path, source.format, names)
            for role, source, names in zip(("vector", "subtracted"), sources, chosen, strict=False)
        )

    def read(self, engine: LocalEngine) -> Iterator[FloatArray]:
        """Yield the vector, some elements at a time."""
        self.elements = 0
        self.notes = Notes(self._found)
        first_row = 0
        for rows, values in self._blocks(engine):
            missing = np.isnan(values)
            if missing.any():
                row = first_row + int(np.argmax(missing.reshape(rows, -1).any(axis=1)))
                raise DataError(f"{' - '.join(s.path for s in self._sources)}: a number is missing in row {row + 1}")
            first_row += rows
            self.elements += values.size
            yield values.reshape(-1)
        if not self.elements:
            raise DataError(f"{self._sources[0].path}: there are no rows")

    def _blocks(self, engine: LocalEngine) -> Iterator[tuple[int, FloatArray]]:
        pairs = zip(self._sources, self._selections, strict=True)
        streams = [self.notes.of(engine.run(source.parts(wanted))) for source, wanted in pairs]
        if self._roles is None:
            for block in streams[PREDICTION]:
                yield block.rows, _side_by_side(block, self._selections[0].numbers)
            return
        named = [Stream(source.path, blocks) for source, blocks in zip(self._sources, streams, strict=True)]
        for aligned in align_positions(named, self._roles.index):
            chunk = chunk_of(aligned, self._roles)
            with np.errstate(invalid="ignore", over="ignore"):
                yield aligned.rows, chunk.prediction - chunk.target


def _side_by_side(block: Block, names: tuple[str, ...]) -> FloatArray:
    return np.stack([block.numbers[name] for name in names], axis=1) if names else block.numbers[ARRAY]


def _columns(source: Source, named: tuple[str, ...], notes: list[Note]) -> tuple[str, ...]:
    if named:
        return find_columns(source, named, notes)
    return () if source.item is not None else numeric_columns(source)
