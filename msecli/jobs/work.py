"""What is made of every chunk of rows, in whichever thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msecli.core.axes import losses_of_rows
from msecli.core.chunk import Chunk
from msecli.core.elementwise import element_gradient, element_losses
from msecli.core.exact import FloatArray, IntArray
from msecli.core.linear import LinearModel, ParameterSums
from msecli.core.partition import Batches
from msecli.core.reduction import Reduction
from msecli.core.state import LossState, RowNumbers, Rules
from msecli.core.wide import Wide
from msecli.sources.labels import GroupKey
from msecli.sources.pairing import Aligned
from msecli.sources.roles import Roles, chunk_of, groups_of, inputs_of, problem_rows


class Nudge(NamedTuple):
    """A change of one element of the predictions: its row, its number in the row, and what is added to it."""

    row: int
    element: int
    step: float


class Task(NamedTuple):
    """What to make of every chunk.

    Parameters
    ----------
    roles : Roles
    rules : Rules
    reduction : Reduction
    losses, gradient, predictions : bool
        Which values to keep for every element.
    row_axes : tuple of int, optional
        The axes that are left of a reduction along the others, the first of which is 0.
    batches : Batches, optional
    model : LinearModel, optional
        What makes predictions of the inputs.
    parameters : bool
        Whether to keep the derivatives with respect to the model's parameters.
    keyed : bool
        Whether the values go with the keys of their rows.
    nudge : Nudge, optional
        Change one prediction first.
    """

    roles: Roles
    rules: Rules
    reduction: Reduction
    losses: bool = False
    gradient: bool = False
    predictions: bool = False
    row_axes: tuple[int, ...] | None = None
    batches: Batches | None = None
    model: LinearModel | None = None
    parameters: bool = False
    keyed: bool = False
    nudge: Nudge | None = None


class Part(NamedTuple):
    """The states of a chunk's groups, with the keys of these groups."""

    state: LossState
    keys: list[GroupKey] | list[int]
    parameters: ParameterSums | None = None


class Output(NamedTuple):
    """What one chunk leaves behind."""

    whole: Part | None
    by_group: Part | None
    by_batch: Part | None
    losses: FloatArray | None
    gradient: Wide | None
    predictions: FloatArray | None
    aligned: Aligned | None


class _Rows(NamedTuple):
    """The rows of a chunk, the inputs that its predictions are made of, and their numbers in the files."""

    chunk: Chunk
    inputs: FloatArray | None
    numbers: RowNumbers | None


def work(aligned: Aligned, task: Task) -> Iterator[Output]:
    """Yield the one output of some aligned rows."""
    inputs = None if task.model is None else inputs_of(aligned, task.roles)
    chunk = chunk_of(aligned, task.roles, task.model, inputs)
    if task.nudge is not None:
        chunk = _nudged(chunk, task.nudge)
    rows = _Rows(chunk, inputs, problem_rows(aligned, task.roles))
    batches, by_batch, by_group = task.batches, None, None
    if batches is not None:
        chunk = chunk._replace(dropped=batches.dropped(aligned.first_row, aligned.rows))
        rows = rows._replace(chunk=chunk)
        codes, numbers = batches.of(aligned.first_row, aligned.rows)
        by_batch = _part(task, rows, codes, numbers.tolist())
    if task.roles.by:
        codes, keys = groups_of(aligned, task.roles)
        by_group = _part(task, rows, codes, keys)
    yield Output(
        whole=_part(task, rows) if by_batch is by_group is None else None,
        by_group=by_group,
        by_batch=by_batch,
        losses=_losses(task, chunk),
        gradient=element_gradient(chunk, task.rules) if task.gradient else None,
        predictions=chunk.prediction if task.predictions else None,
        aligned=aligned if task.keyed else None,
    )


def _nudged(chunk: Chunk, nudge: Nudge) -> Chunk:
    row = nudge.row - chunk.first_row
    if not 0 <= row < chunk.rows:
        return chunk
    prediction = chunk.prediction.copy()
    prediction.reshape(chunk.rows, -1)[row, nudge.element] += nudge.step
    return chunk._replace(prediction=prediction)


def _part(
    task: Task,
    rows: _Rows,
    codes: IntArray | None = None,
    keys: list[GroupKey] | list[int] | None = None,
) -> Part:
    """Return the states of a chunk: of its groups, or of all of it as group 0."""
    keys = [0] if keys is None else keys
    grouped = rows.chunk._replace(group=codes, groups=len(keys))
    parameters = None
    if task.parameters and task.model is not None and rows.inputs is not None:
        parameters = ParameterSums.of(grouped, rows.inputs, task.rules, task.model)
    return Part(LossState.of(grouped, task.rules, rows.numbers), keys, parameters)


def _losses(task: Task, chunk: Chunk) -> FloatArray | None:
    if task.row_axes is not None:
        return losses_of_rows(chunk, task.rules._replace(columns=1), task.row_axes, task.reduction)
    return element_losses(chunk, task.rules) if task.losses else None
