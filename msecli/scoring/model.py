"""The parameters of models and of penalties: read from files or memory, and matched to the inputs by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from msecli.arrays import FloatArray
from msecli.errors import DataError, Problems, Warned, numbered, shown
from msecli.formats.base import Column, Selection, Source
from msecli.pairing.candidates import is_identifying, numeric_columns
from msecli.pairing.chunks import values_of
from msecli.pairing.lookup import SHOWN_COLUMNS, Lookup, Names, folded_name, listed_setting
from msecli.pairing.roles import Place, is_comparable
from msecli.scoring.opening import open_one, refuse_rows_as_names
from msecli.scoring.request import Request
from msecli.text.reading import Readings, word_of
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    from msecli.core.linear import LinearModel


class Parameters(NamedTuple):
    """The penalized arrays that the user named, the intercept, the file of the coefficients, and warnings."""

    penalized: tuple[FloatArray, ...] = ()
    intercept: FloatArray | None = None
    coef: Source | None = None
    warnings: tuple[Warned, ...] = ()


def read_parameters(request: Request) -> Parameters:
    """Read all parameters except the coefficients, which depend on the inputs.

    Raises
    ------
    DataError, ReadWriteError
        With the problems of all of them.
    """
    problems = Problems()
    warnings: list[Warned] = []
    penalized: list[FloatArray] = []
    intercept = coef = None
    for data in request.params:
        with problems.collect():
            penalized.append(read_array(data, request.reading, "params", warnings))
    if request.coef is not None:
        with problems.collect():
            coef = _opened(_named(request.coef), request.reading, "coef", warnings)
    if request.intercept is not None:
        with problems.collect():
            intercept = read_array(request.intercept, request.reading, "intercept", warnings)
    problems.raise_found()
    return Parameters(tuple(penalized), intercept, coef, tuple(warnings))


def model_of(
    coef: Source, intercept: FloatArray | None, inputs: Source, columns: Names, *, chosen: bool, warnings: list[Warned]
) -> LinearModel:
    """Return the model whose coefficients are in the order of the inputs.

    Parameters
    ----------
    coef : Source
    intercept : ndarray of float64, optional
    inputs : Source
    columns : tuple of str
        The columns that are the inputs; none for a whole array.
    chosen : bool
        Whether the user named them.
    warnings : list of Warned
        Takes further warnings.

    Raises
    ------
    DataError
        If the coefficients have other names, or their shape fits no model.
    """
    from msecli.core.linear import LinearModel

    names, array = _named_coefficients(coef, columns)
    if names:
        array = array[..., _order(coef, names, inputs, columns, chosen=chosen, warnings=warnings)]
    return LinearModel(array, intercept)


def _named_coefficients(source: Source, inputs: Names) -> tuple[Names, FloatArray]:
    """Return coefficients with the names of their inputs; they have none in an array, and in a lone column.

    The names are those of the columns, or beside a single column of numbers the labels in a single column of text.
    Numbers from 0 on are no names, nor are those of columns without a header. Columns that identify rows are left out
    unless an input has the name.
    """
    if source.item is not None or not inputs:
        return (), _numbers(source, numeric_columns(source) if source.item is None else ())
    wanted = set(map(folded_name, inputs))
    others = [
        column
        for number, column in enumerate(source.columns or ())
        if folded_name(column.name) in wanted or not is_identifying(number, column) or not column.data
    ]
    columns = tuple(column.name for column in others if column.data) or numeric_columns(source)
    texts = tuple(column.name for column in others if _is_text(column))
    refuse_rows_as_names(source, [name for name in columns if folded_name(name) not in wanted], "coef")
    array = _numbers(source, columns)
    if len(columns) > 1:
        nameless = others[0].numbered or columns == tuple(map(str, range(len(columns))))
        return (() if nameless else columns), array
    if len(texts) != 1:
        return (), array
    blocks = [block for part in source.parts(Selection(columns, texts)) for block in part.read()]
    return tuple(str(label) for block in blocks for label in block.labels[texts[0]].tolist()), array


def _is_text(column: Column) -> bool:
    return not column.numeric and is_comparable(column.kind)


def _order(
    coef: Source, names: Names, inputs: Source, columns: Names, *, chosen: bool, warnings: list[Warned]
) -> list[int]:
    """Return the place of every input's coefficient."""
    for name, count in Counter(names).items():
        if count > 1:
            raise DataError(f"{coef.path}: {count} coefficients are named {shown(name)}; there is one for each input")
    places = {name: place for place, name in enumerate(names)}
    folded = {folded_name(name): place for place, name in enumerate(names)}
    order = [places.get(name, folded.get(folded_name(name), -1)) for name in columns]
    if len(names) != len(columns) or sorted(order) != list(range(len(names))):
        raise DataError(_misfit(coef, names, inputs, columns, chosen=chosen))
    differing = [(names[place], name) for place, name in zip(order, columns, strict=True) if names[place] != name]
    warnings += [
        Warned(
            "column_name_differs",
            f"{coef.path}, column {ours!r}",
            f"{ours!r} was taken for {name!r}; the names differ in case or in blanks around them",
        )
        for ours, name in differing
    ]
    return order


def _misfit(coef: Source, names: Names, inputs: Source, columns: Names, *, chosen: bool) -> str:
    """Return that coefficients and inputs have other names, with what to do."""
    lookup = Lookup(inputs)
    advice = listed_setting("inputs", names, added=not chosen) if all(map(lookup.holds, names)) else None
    what = "rename them, or write them without names, to be paired by position"
    if advice is not None:
        what = f"to take the inputs that they are for, {f'use {advice}' if chosen else advice}"
    return (
        f"{coef.path}: the coefficients are for {_listed(names)}, but the inputs in {inputs.path} are "
        f"{_listed(columns)}; {what}"
    )


def _listed(names: Names) -> str:
    more = len(names) - SHOWN_COLUMNS
    return ", ".join(map(shown, names[:SHOWN_COLUMNS])) + (f" and {more} more" if more > 0 else "")


def _named(data: Any) -> Any:
    """Return a pandas Series with names for its values as a table; anything else as it is."""
    if type(data).__module__.startswith("pandas") and type(data).__name__ == "Series":
        texts = [isinstance(label, str) for label in data.index]
        return data.rename_axis("input").to_frame("coef") if texts and all(texts) else data
    return data


def _opened(data: Any, readings: Readings, name: str, warnings: list[Warned]) -> Source:
    if isinstance(data, float | int | np.number) or getattr(data, "ndim", 1) == 0:
        data = np.reshape(data, 1)  # a lone intercept
    source = open_one(data, readings, name)
    warnings += source.warnings
    return source


def read_array(data: Any, readings: Readings, name: str, warnings: list[Warned]) -> FloatArray:
    """Return an array, or the numeric columns of a table side by side, from a file or memory; add to the warnings.

    Returns
    -------
    ndarray of float64
        For a table, shape (rows,) with a single column or (rows, columns) with several, without row ids.

    Raises
    ------
    DataError
        If a table has no numeric column, or a number is missing.
    """
    source = _opened(data, readings, name, warnings)
    columns = () if source.item is not None else numeric_columns(source)
    refuse_rows_as_names(source, columns, word_of(name))
    return _numbers(source, columns)


def _numbers(source: Source, columns: Sequence[str]) -> FloatArray:
    place = Place(0, tuple(columns))
    blocks = (block for part in source.parts(Selection(place.columns)) for block in part.read())
    array = np.concatenate([values_of((block,), place) for block in blocks])
    if np.isnan(array).any():
        row = int(np.argmax(np.isnan(array).reshape(len(array), -1).any(axis=1)))
        raise DataError(f"{source.path}: a number is missing in {numbered(row, lines=[source.line(row)])}")
    return array
