"""Vector norms of a file or an array, or of the difference of two, in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np

from msecli.core.exact import FloatArray
from msecli.core.norm import NormSums
from msecli.core.processor import arithmetic
from msecli.engines import Engine, engine_named
from msecli.errors import DataError, UsageError, Warned
from msecli.formats.base import Selection, Source
from msecli.pairing.candidates import numeric_columns
from msecli.pairing.choice import UndecidedError
from msecli.pairing.chunks import values_of
from msecli.pairing.lookup import described, find_all
from msecli.pairing.position import RowCheck, Stream, align, compared
from msecli.pairing.roles import Place, Shared, assign_roles, check_shapes, item_shape
from msecli.results.norm import NormResult
from msecli.results.score import Input
from msecli.scoring.plan import open_all
from msecli.scoring.request import TAKEN_AS
from msecli.scoring.rows import Ledger, Progress, blocks_of
from msecli.text.reading import AS_FILES_SAY, Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class NormRequest:
    """Which norms to compute, and of what.

    Parameters
    ----------
    vector : str or data in memory
    subtracted : str or data in memory, optional
        With it, the norms are of the difference `vector - subtracted`.
    orders : tuple of float
        Each at least 1, or infinity.
    columns : tuple of str
        The columns to take; by default all numeric ones.
    reading : Reading
    engine : str
    jobs : int, optional

    Raises
    ------
    UsageError
        If an order is impossible.
    """

    vector: Any
    subtracted: Any = None
    orders: tuple[float, ...] = (2.0,)
    columns: tuple[str, ...] = ()
    reading: Reading = AS_FILES_SAY
    engine: str = "local"
    jobs: int | None = None

    @classmethod
    def of(cls, **parameters: Any) -> Self:
        """Return a request from parameters as Python callers write them; see `Request.of`."""
        return cls(**{name: TAKEN_AS[name](name, value) for name, value in parameters.items()})

    def __post_init__(self) -> None:
        if self.vector is None:
            raise UsageError("`values`: None is neither a path nor a table nor an array")
        for order in self.orders:
            check_order(order)

    @property
    def inputs(self) -> tuple[Any, ...]:
        """The sources of numbers."""
        return (self.vector,) if self.subtracted is None else (self.vector, self.subtracted)

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of the inputs that are files."""
        return tuple(path for path in self.inputs if isinstance(path, str))


def check_order(order: float) -> float:
    """Return an order after checking it.

    Raises
    ------
    UsageError
        If it is not at least 1.
    """
    if not order >= 1:
        raise UsageError(f"order {order:g}: the order of a norm is a number of at least 1, or inf")
    return order


def norms(request: NormRequest, progress: Progress = lambda _: None) -> NormResult:
    """Return the norms of the requested numbers.

    Raises
    ------
    DataError
        If a number is missing, or the files do not pair.
    ReadWriteError
        If a file cannot be read.
    """
    orders = tuple(dict.fromkeys(request.orders))
    sources = open_all(request.inputs, request.reading, ("values", "other"))
    places, checked, warnings = _places(sources, request.columns)
    ledger = Ledger(sources, warnings)
    sums, elements = NormSums(orders), 0
    with arithmetic() as subnormals, engine_named(request.engine).start(request.jobs) as engine:
        vectors = _vectors(sources, places, checked, engine, ledger)
        for part, size in engine.run(partial(_sums, orders), vectors):
            sums.merge(part)
            elements += size
            progress(ledger.share)
    ledger.warnings.add(subnormals)
    if not elements:
        raise DataError(f"{sources[0].path}: there are no rows")
    for source in sources:
        source.verify()
    inputs = tuple(
        Input(role, source.path, source.format, place.columns)
        for role, source, place in zip(("vector", "subtracted"), sources, places, strict=False)
    )
    named = {str(int(order)) if float(order).is_integer() else repr(order): sums.norm(order) for order in orders}
    return NormResult(named, elements, inputs, ledger.warnings.all())


def _sums(orders: Sequence[float], values: FloatArray) -> Iterator[tuple[NormSums, int]]:
    yield NormSums.of(values.reshape(-1), orders), values.size


def _places(
    sources: Sequence[Source], columns: tuple[str, ...]
) -> tuple[tuple[Place, ...], tuple[Shared, ...], Sequence[Warned]]:
    """Return the columns to take from each source, the columns that must agree row by row, and warnings."""
    if len(sources) > 1:
        try:
            roles = assign_roles(sources, pred=columns, target=columns)
        except UndecidedError as error:
            raise DataError(f"cannot tell which columns to take; use `columns=COLUMN`{described(sources)}") from error
        check_shapes(sources, roles, item_shape(sources[0], roles.prediction.columns))
        return (roles.prediction, roles.target), roles.checked, roles.warnings
    warnings: list[Warned] = []
    chosen = find_all(sources[0], columns, warnings)
    if not chosen and sources[0].item is None:
        chosen = numeric_columns(sources[0])
    return (Place(0, chosen),), (), warnings


def _vectors(
    sources: Sequence[Source],
    places: Sequence[Place],
    checked: tuple[Shared, ...],
    engine: Engine,
    ledger: Ledger,
) -> Iterator[FloatArray]:
    """Yield the numbers or the differences, some rows at a time; refuse missing ones."""
    streams = [
        Stream(
            source.path,
            blocks_of(source, Selection(place.columns, tuple(shared.columns[file] for shared in checked)), engine),
        )
        for file, (source, place) in enumerate(zip(sources, places, strict=True))
    ]
    check = RowCheck([source.path for source in sources])
    for rows in align(streams):
        check.add(checked, compared(rows, checked))
        sides = [values_of(rows.blocks, place) for place in places]
        with np.errstate(all="ignore"):
            values = sides[0] if len(sides) == 1 else sides[0] - sides[1].reshape(sides[0].shape)
        missing = np.isnan(values)
        if missing.any():
            row = rows.first_row + int(np.argmax(missing.reshape(rows.rows, -1).any(axis=1)))
            raise DataError(f"{' - '.join(source.path for source in sources)}: a number is missing in row {row + 1}")
        yield values
        for number, stream in enumerate(streams):
            ledger.count(number, stream.take())
