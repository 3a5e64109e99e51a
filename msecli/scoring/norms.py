"""Vector norms of a file or an array, or of the difference of two, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np

from msecli.core.norm import NormSums
from msecli.core.processor import arithmetic
from msecli.core.state import Rules
from msecli.engines import engine_named
from msecli.errors import DataError, UsageError, Warned
from msecli.formats.base import file_count
from msecli.pairing.candidates import numeric_columns
from msecli.pairing.choice import ALL, UndecidedError
from msecli.pairing.chunks import values_of
from msecli.pairing.lookup import find_all
from msecli.pairing.position import Aligned
from msecli.pairing.roles import Place, Roles, item_shape
from msecli.pairing.twins import Twin, joined_twins, twins_of
from msecli.places import paths_of
from msecli.results.norm import NormResult
from msecli.results.score import Input
from msecli.scoring.advice import TAKEN, check_choice
from msecli.scoring.elsewhere import refuse_distributed
from msecli.scoring.ledger import Ledger, Progress
from msecli.scoring.opening import open_all, refuse_rows_as_names
from msecli.scoring.plan import Plan, make_plan
from msecli.scoring.request import TAKEN_AS, Request
from msecli.scoring.rows import PairedRows
from msecli.text.reading import ALL_AS_FILES_SAY, Readings
from msecli.tuples import NamedTuple

INPUTS = ("values", "other")
"""The parameters that the inputs come from."""


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
    on, unmatched, row_check
        How to pair the rows of two, as for `Request`.
    reading : Readings
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
    on: tuple[str, ...] = ()
    unmatched: str = "error"
    row_check: bool = True
    reading: Readings = ALL_AS_FILES_SAY
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
        refuse_distributed(self.engine, "compute norms")
        _ = self.scoring

    @property
    def scoring(self) -> Request:
        """How to pair the rows, and how to read them."""
        return Request(
            predictions=self.vector,
            targets=self.subtracted,
            pred=self.columns,
            target=self.columns,
            on=self.on,
            unmatched=self.unmatched,
            row_check=self.row_check,
            reading=self.reading,
            engine=self.engine,
            jobs=self.jobs,
        )

    @property
    def inputs(self) -> tuple[Any, ...]:
        """The sources of numbers."""
        return (self.vector,) if self.subtracted is None else (self.vector, self.subtracted)

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of the inputs that are files."""
        return paths_of(self.inputs)


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
        If a number is missing, the files do not pair, or their values contradict the choice of columns.
    ReadWriteError
        If a file cannot be read.
    """
    orders = tuple(dict.fromkeys(request.orders))
    sums, elements = NormSums(orders), 0
    twins: tuple[Twin, ...] = ()
    with arithmetic() as subnormals:
        plan = _plan(request)
        with engine_named(request.engine).start(request.jobs) as engine:
            paired = PairedRows(plan, engine, progress, once=True)
            for first_row, part in paired.each(partial(_part, plan, orders), numbered=False):
                if part.missing is not None:
                    raise DataError(_told_missing(plan, paired.ledger, part.missing, first_row))
                sums.merge(part.sums)
                elements += part.elements
                twins = joined_twins(twins, part.twins)
    ledger = paired.ledger
    ledger.warnings.add(subnormals)
    if not elements:
        raise DataError(f"{plan.sources[0].path}: there are no rows")
    check_choice(plan, twins, ledger.paired, ledger.warnings, TAKEN)
    places = (plan.roles.prediction, plan.roles.target)
    inputs = tuple(
        Input(role, source.path, source.format, place.columns, *file_count(source))
        for role, source, place in zip(("vector", "subtracted"), plan.sources, places, strict=False)
    )
    named = {str(int(order)) if float(order).is_integer() else repr(order): sums.norm(order) for order in orders}
    return NormResult(named, elements, inputs, ledger.warnings.all())


def _plan(request: NormRequest) -> Plan:
    """Return the plan: two sides are paired as predictions and targets are, and one is paired with itself."""
    scoring = request.scoring
    if request.subtracted is not None:
        try:
            return make_plan(scoring, INPUTS)
        except UndecidedError as error:
            raise DataError(f"cannot tell which columns to take; use `columns=COLUMN`{error.found}") from error
    sources = open_all(request.inputs, request.reading, INPUTS, alone=True)
    warnings: list[Warned] = []
    chosen, rule = find_all(sources[0], request.columns, warnings), ""
    if not chosen and sources[0].item is None:
        chosen = numeric_columns(sources[0], "columns")
        refuse_rows_as_names(sources[0], chosen, "")
        rule = ALL if len(chosen) > 1 else ""
    place = Place(0, chosen)
    roles = Roles(place, place, rule=rule, warnings=tuple(warnings))
    return Plan(scoring, sources, roles, Rules(), item_shape(sources[0], chosen), (), None, ())


class Missing(NamedTuple):
    """A missing difference: the number of its row in every file, and whether a number is missing there."""

    rows: tuple[int, int]
    absent: tuple[bool, ...]


class Part(NamedTuple):
    """The sums of some numbers, how many there are, the first missing one, and what says that columns are keys."""

    sums: NormSums
    elements: int
    missing: Missing | None
    twins: tuple[Twin, ...]


def _part(plan: Plan, orders: Sequence[float], rows: Aligned) -> Part:
    """Return the part of the norms of some rows: of the numbers, or of the differences."""
    ours = theirs = values_of(rows.blocks, plan.roles.prediction)
    values = ours
    if len(rows.blocks) > 1:
        theirs = values_of(rows.blocks, plan.roles.target).reshape(ours.shape)
        with np.errstate(all="ignore"):
            values = ours - theirs
    missing, lost = None, np.isnan(values)
    if lost.any():
        row = int(np.argmax(lost.reshape(rows.rows, -1).any(axis=1)))
        sides = (ours, theirs)[: len(rows.blocks)]
        missing = Missing(rows.numbers(row), tuple(bool(np.isnan(side[row]).any()) for side in sides))
    twins = twins_of(ours, theirs, tables=True) if plan.chosen_in_tables else ()
    return Part(NormSums.of(values.reshape(-1), orders), values.size, missing, twins)


def _told_missing(plan: Plan, ledger: Ledger, missing: Missing, first_row: int) -> str:
    """Return where a number is missing, or where equal infinities make their difference missing."""
    either = any(missing.absent)
    reason = "a number is missing" if either else "the number is infinite, like its counterpart,"
    return "\n".join(
        f"{source.path}: {reason} in {ledger.place(file, first_row + row)}"
        for file, (source, row, absent) in enumerate(zip(plan.sources, missing.rows, missing.absent, strict=False))
        if absent or not either
    )
