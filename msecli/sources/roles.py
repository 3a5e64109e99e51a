"""Which column of which file plays which part, and aligned rows to chunks by these parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from msecli.core.check import same_item_shape
from msecli.core.chunk import Chunk
from msecli.core.exact import FloatArray
from msecli.core.linear import LinearModel
from msecli.core.state import RowNumbers
from msecli.errors import DataError
from msecli.sources.base import ARRAY, Block, Note, Selection, Source
from msecli.sources.columns import Choice, choose_columns, choose_inputs, locate, numeric_columns
from msecli.sources.labels import GroupKey, group_codes
from msecli.sources.pairing import Aligned

PREDICTION, TARGET = 0, 1

Place = tuple[int, str]
"""A column: the number of its file, and its name there."""


class Wishes(NamedTuple):
    """The columns that the user named, each for its part.

    `inputs` is None unless a model makes the predictions: then these are its inputs, and empty means all columns.
    """

    prediction: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    weight: str | None = None
    on: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    inputs: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Roles:
    """The parts that columns play.

    Parameters
    ----------
    prediction, target : tuple of str
        Columns to score, pair by pair; empty for a whole array. Where a model makes the predictions, those of the
        prediction are its inputs.
    target_file : int
        The number of the target's file: that of the prediction where one file holds both.
    weight : Place, optional
        The column of the weights, or `ARRAY` for a whole file of them.
    on : tuple of str
        Keys, in both files, as the user named them.
    by : tuple of Place
        Labels of groups.
    index : tuple of str
        Labels of both files that must agree row by row.
    """

    prediction: tuple[str, ...]
    target: tuple[str, ...]
    target_file: int
    weight: tuple[int, str | None] | None
    on: tuple[str, ...]
    by: tuple[Place, ...]
    index: tuple[str, ...]
    notes: tuple[Note, ...]
    key_columns: tuple[tuple[str, ...], ...] = ()
    """The names of the keys in each file, which may have blanks around them."""
    weight_table: tuple[str, ...] = ()
    """The columns of a table of weights, one for each column to score; empty where each row has one weight."""

    @property
    def weight_columns(self) -> tuple[str, ...]:
        """The columns of the weights; empty for a whole array, or without weights."""
        single = () if self.weight is None or self.weight[1] is None else (self.weight[1],)
        return self.weight_table or single

    def selection(self, file: int) -> Selection:
        """Return what to read of a file."""
        numbers = [*(self.prediction if file == PREDICTION else ()), *(self.target if file == self.target_file else ())]
        numbers += self.weight_columns if self.weight is not None and self.weight[0] == file else ()
        labels = [name for number, name in self.by if number == file]
        if file in (PREDICTION, self.target_file):
            labels += [*(self.key_columns[file] if self.key_columns else ()), *self.index]
        return Selection(tuple(dict.fromkeys(numbers)), tuple(dict.fromkeys(labels)))


def assign_roles(sources: Sequence[Source], wishes: Wishes, *, weight_file: bool) -> Roles:
    """Return which column plays which part.

    Parameters
    ----------
    sources : sequence of Source
        The prediction's file, the target's if it is another, and then the file of weights if there is one.
    wishes : Wishes
    weight_file : bool
        Whether the last file is one of weights.

    Raises
    ------
    DataError
        If a column is not there, is in two files where one is meant, or no rule says which ones to score.
    """
    tables = sources[: len(sources) - weight_file]
    notes: list[Note] = []
    column = _weight(tables, wishes, notes)
    keys = _keys(tables, wishes.on, notes)
    by, shared = _groups(tables, wishes.by, notes)
    taken = {name for names in keys for name in names} | {name for _, name in (*by, *([column] if column else []))}
    other = tables[1] if len(tables) > 1 else None
    if wishes.inputs is None:
        choice = choose_columns(tables[0], other, (wishes.prediction, wishes.target), taken)
    else:
        choice = choose_inputs(tables[0], other, (wishes.inputs, wishes.target), taken)
    index = tuple(dict.fromkeys([*(() if keys else choice.index), *shared]))
    weights: tuple[str, ...] = ()
    weight: tuple[int, str | None] | None = column
    if weight_file:
        weights = _weight_table(sources[-1], choice, item_shape(tables[-1], choice.target))
        weight = len(sources) - 1, weights[0] if len(weights) == 1 else ARRAY
    table = weights if len(weights) > 1 else ()
    by_part = choice.prediction, choice.target, len(tables) - 1
    return Roles(*by_part, weight, wishes.on, by, index, (*notes, *choice.notes), keys, table)


def _weight(tables: Sequence[Source], wishes: Wishes, notes: list[Note]) -> Place | None:
    if wishes.weight is None:
        return None
    found = locate(tables, wishes.weight, "--weight", notes)
    if len(found) > 1:
        raise DataError(f"--weight: both files have a column {wishes.weight!r}; rename it in one of them")
    return found[0]


def _weight_table(source: Source, choice: Choice, item: tuple[int, ...]) -> tuple[str, ...]:
    """Return the columns of a file of weights: one, or as many as are scored; empty for a whole array.

    As many columns are paired with those to score by name if they have the same names, else in file order.
    """
    if source.item is not None:
        return ()
    numeric = tuple(column.name for column in source.columns or () if column.numeric)
    # A row index is no weight beside other columns, but the only column is the weights whatever its name.
    if len(numeric) != 1:
        numeric = numeric_columns(source)
    for names in (choice.prediction, choice.target):
        if sorted(numeric) == sorted(names):
            return names
    if len(numeric) != 1 and (len(numeric),) != item:
        wanted = "one numeric column" + (f", or {item[0]} as the data have" if len(item) == 1 else "")
        raise DataError(
            f"{source.path}: a file of weights has {wanted}; this one has {len(numeric)}; "
            "keep only these, or name a column of the data: --weight COLUMN"
        )
    return numeric


def _keys(tables: Sequence[Source], names: tuple[str, ...], notes: list[Note]) -> tuple[tuple[str, ...], ...]:
    """Return the names of the key columns in each file; empty without keys."""
    columns = []
    for name in names:
        found = locate(tables, name, "--on", notes, everywhere=True)
        columns.append(tuple(column for _, column in found))
    return tuple(zip(*columns, strict=True))


def _groups(tables: Sequence[Source], names: tuple[str, ...], notes: list[Note]) -> tuple[tuple[Place, ...], list[str]]:
    """Return the columns of the groups, and those that both files have, whose labels must agree."""
    places = [locate(tables, name, "--by", notes) for name in names]
    return tuple(found[-1] for found in places), [found[0][1] for found in places if len(found) > 1]


def inputs_of(aligned: Aligned, roles: Roles) -> FloatArray:
    """Return the inputs of a model, shape (rows, inputs)."""
    inputs = _values(aligned.blocks[PREDICTION], roles.prediction)
    return inputs.reshape(len(inputs), math.prod(inputs.shape[1:]))


def chunk_of(
    aligned: Aligned, roles: Roles, model: LinearModel | None = None, inputs: FloatArray | None = None
) -> Chunk:
    """Return aligned rows as a chunk, whose predictions are those in the file or the model's from its inputs."""
    blocks = aligned.blocks
    if model is None or inputs is None:
        prediction = _values(blocks[PREDICTION], roles.prediction)
    else:
        prediction = model.predict(inputs)
    target = _values(blocks[roles.target_file], roles.target)
    if prediction.shape != target.shape and same_item_shape(prediction.shape[1:], target.shape[1:]):
        target = target.reshape(prediction.shape)
    weight = None if roles.weight is None else _values(blocks[roles.weight[0]], roles.weight_columns)
    if weight is not None and weight.ndim > 1 and weight.shape != prediction.shape:
        weight = weight.reshape(-1)
    return Chunk(prediction, target, aligned.first_row, weight)


def problem_rows(aligned: Aligned, roles: Roles) -> RowNumbers | None:
    """Return the number of every row in the file of each part, None where rows are paired by position."""
    if aligned.row_numbers is None:
        return None
    weight = PREDICTION if roles.weight is None else roles.weight[0]
    files = {"nan_prediction": PREDICTION, "nan_target": roles.target_file, "weight": weight}
    return {kind: aligned.row_numbers[file] for kind, file in files.items()}


def groups_of(aligned: Aligned, roles: Roles) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], list[GroupKey]]:
    """Return the group of every row, and the key of every group."""
    return group_codes([aligned.blocks[file].labels[name] for file, name in roles.by])


def _values(block: Block, columns: tuple[str, ...]) -> FloatArray:
    names = columns or (ARRAY,)
    if len(names) == 1:
        return block.numbers[names[0]]
    return np.stack([block.numbers[name] for name in names], axis=1)


def item_shape(source: Source, columns: tuple[str, ...]) -> tuple[int, ...]:
    """Return the shape of a row of these columns, or of the whole array."""
    if not columns:
        return source.item or ()
    return () if len(columns) == 1 else (len(columns),)


def check_items(sources: Sequence[Source], roles: Roles, model: LinearModel | None = None) -> None:
    """Refuse files whose rows do not pair element by element, and inputs that are not the model's.

    Raises
    ------
    DataError
    """
    prediction, target = sources[PREDICTION], sources[roles.target_file]
    items = item_shape(prediction, roles.prediction), item_shape(target, roles.target)
    if model is not None:
        if math.prod(items[0]) != model.inputs or len(items[0]) > 1:
            raise DataError(
                f"{prediction.path}: {math.prod(items[0])} inputs, but the coefficients have {model.inputs} for each "
                "output; choose the inputs with -x COLUMN"
            )
        items = model.item, items[1]
    if not same_item_shape(*items):
        raise DataError(
            f"the shapes differ: {prediction.path} has rows of shape {items[0]}, "
            f"{target.path} of shape {items[1]}; they must be equal, nothing is broadcast"
        )
    if roles.weight is None:
        return
    weights = sources[roles.weight[0]]
    item = item_shape(weights, roles.weight_columns)
    if item not in ((), (1,), items[0]):
        raise DataError(
            f"{weights.path}: rows of weights have shape {item}; they must be one number, or have the shape "
            f"of the prediction's, {items[0]}"
        )
