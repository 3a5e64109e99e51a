"""Which column of which file plays which part, and aligned rows to chunks by these parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from msecli.core.check import same_item_shape
from msecli.core.chunk import Chunk
from msecli.core.exact import FloatArray
from msecli.core.linear import LinearModel
from msecli.errors import DataError
from msecli.sources.base import ARRAY, Block, Note, Selection, Source
from msecli.sources.columns import choose_columns, choose_inputs, locate
from msecli.sources.labels import GroupKey, group_codes
from msecli.sources.pairing import Aligned

PREDICTION, TARGET = 0, 1

Place = tuple[int, str]
"""A column: the number of its file, and its name there."""


@dataclass(frozen=True, slots=True)
class Wishes:
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
        The column of the weights; its name is `ARRAY` for a whole file of them.
    on : tuple of str
        Keys, in both files.
    by : tuple of Place
        Labels of groups.
    index : tuple of str
        Labels of both files that must agree row by row.
    """

    prediction: tuple[str, ...]
    target: tuple[str, ...]
    target_file: int
    weight: Place | None
    on: tuple[str, ...]
    by: tuple[Place, ...]
    index: tuple[str, ...]
    notes: tuple[Note, ...]

    def selection(self, file: int) -> Selection:
        """Return what to read of a file."""
        numbers = [*(self.prediction if file == PREDICTION else ()), *(self.target if file == self.target_file else ())]
        numbers += [name for number, name in self._weights() if number == file and name != ARRAY]
        labels = [name for number, name in self.by if number == file]
        if file in (PREDICTION, self.target_file):
            labels += [*self.on, *self.index]
        return Selection(tuple(dict.fromkeys(numbers)), tuple(dict.fromkeys(labels)))

    def _weights(self) -> tuple[Place, ...]:
        return () if self.weight is None else (self.weight,)


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
    weight = _weight(sources, tables, wishes, weight_file=weight_file)
    on = _keys(tables, wishes.on)
    by, shared = _groups(tables, wishes.by)
    taken = {*on, *(name for _, name in by)} | ({weight[1]} if weight else set())
    other = tables[1] if len(tables) > 1 else None
    if wishes.inputs is None:
        choice = choose_columns(tables[0], other, (wishes.prediction, wishes.target), taken)
    else:
        choice = choose_inputs(tables[0], other, (wishes.inputs, wishes.target), taken)
    index = tuple(dict.fromkeys([*(() if on else choice.index), *shared]))
    return Roles(choice.prediction, choice.target, len(tables) - 1, weight, on, by, index, choice.notes)


def _weight(sources: Sequence[Source], tables: Sequence[Source], wishes: Wishes, *, weight_file: bool) -> Place | None:
    if weight_file:
        return len(sources) - 1, _only_column(sources[-1])
    if wishes.weight is None:
        return None
    found = locate(tables, wishes.weight, "--weight")
    if len(found) > 1:
        raise DataError(f"--weight: both files have a column {wishes.weight!r}; rename it in one of them")
    return found[0]


def _only_column(source: Source) -> str:
    """Return the column of a file of weights: its only numeric one, or the whole array."""
    if source.item is not None:
        return ARRAY
    numeric = [column.name for column in source.columns or () if column.numeric]
    if len(numeric) != 1:
        raise DataError(
            f"{source.path}: a file of weights has one numeric column, this one has {len(numeric)}; "
            "or name a column of the data: --weight COLUMN"
        )
    return numeric[0]


def _keys(tables: Sequence[Source], names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if len(locate(tables, name, "--on")) < len(tables):
            missing = next(s for s in tables if name not in [column.name for column in s.columns or ()])
            raise DataError(f"--on: {missing.path} has no column {name!r}; keys are columns of both files")
    return names


def _groups(tables: Sequence[Source], names: tuple[str, ...]) -> tuple[tuple[Place, ...], list[str]]:
    """Return the columns of the groups, and those that both files have, whose labels must agree."""
    places = [locate(tables, name, "--by") for name in names]
    return tuple(found[-1] for found in places), [found[0][1] for found in places if len(found) > 1]


def inputs_of(aligned: Aligned, roles: Roles) -> FloatArray:
    """Return the inputs of a model, shape (rows, inputs)."""
    inputs = _values(aligned.blocks[PREDICTION], roles.prediction)
    return inputs.reshape(len(inputs), -1)


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
    weight = None if roles.weight is None else blocks[roles.weight[0]].numbers[roles.weight[1]]
    if weight is not None and weight.ndim > 1 and weight.shape != prediction.shape:
        weight = weight.reshape(-1)
    return Chunk(prediction, target, aligned.first_row, weight)


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
    item = item_shape(weights, () if roles.weight[1] == ARRAY else (roles.weight[1],))
    if item not in ((), (1,), items[0]):
        raise DataError(
            f"{weights.path}: rows of weights have shape {item}; they must be one number, or have the shape "
            f"of the prediction's, {items[0]}"
        )
