"""Turn aligned rows into chunks, by the roles of their columns; a linear model may make the predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from msecli.arrays import FloatArray, IntArray
from msecli.core.check import same_item_shape
from msecli.core.chunk import Chunk
from msecli.core.terms import BASELINE_FLAWS, FLAWS
from msecli.formats.base import ARRAY, Block
from msecli.pairing.labels import GroupKey, group_codes
from msecli.pairing.position import Aligned
from msecli.pairing.roles import PREDICTION, Place, Roles

if TYPE_CHECKING:
    from msecli.core.linear import LinearModel


def chunk_of(rows: Aligned, roles: Roles, model: LinearModel | None = None) -> tuple[Chunk, FloatArray | None]:
    """Return aligned rows as a chunk; with a model also its inputs, shape (rows, inputs)."""
    blocks, inputs = rows.blocks, None
    prediction = values_of(blocks, roles.prediction)
    if model is not None:
        inputs = prediction if prediction.ndim > 1 else prediction[:, np.newaxis]
        prediction = model.predict(inputs)
    target = values_of(blocks, roles.target)
    if prediction.shape != target.shape and same_item_shape(prediction.shape[1:], target.shape[1:]):
        target = target.reshape(prediction.shape)
    weight = None if roles.weight is None else values_of(blocks, roles.weight)
    if weight is not None and weight.ndim > 1 and weight.shape != prediction.shape:
        weight = weight.reshape(-1)
    baselines = {name: values_of(blocks, place).reshape(prediction.shape) for name, place in roles.baselines}
    return Chunk(
        prediction, target, rows.first_row, weight, numbers=_row_numbers(rows, roles), baselines=baselines or None
    ), inputs


def _row_numbers(rows: Aligned, roles: Roles) -> dict[str, IntArray] | None:
    """Return row numbers in the original files, by kind of problem; None for rows paired by position."""
    if rows.row_numbers is None:
        return None
    weight = PREDICTION if roles.weight is None else roles.weight.file
    files = {"weight": weight}
    for problem in ("nan", "infinite"):
        files |= {f"{problem}_prediction": PREDICTION, f"{problem}_target": roles.target.file}
    files |= {name: PREDICTION if flaw.side == "prediction" else roles.target.file for name, flaw in FLAWS.items()}
    files |= {f"{kind}:{name}": place.file for kind in BASELINE_FLAWS for name, place in roles.baselines}
    return {kind: rows.row_numbers[file] for kind, file in files.items()}


def groups_of(rows: Aligned, roles: Roles) -> tuple[IntArray, list[GroupKey]]:
    """Return the group of every row, and the key of every group."""
    return group_codes([rows.blocks[place.file].labels[name] for place in roles.by for name in place.columns])


def clusters_of(rows: Aligned, place: Place) -> tuple[IntArray, list[GroupKey]]:
    """Return the cluster of every row, and the key of every cluster."""
    return group_codes([rows.blocks[place.file].labels[name] for name in place.columns])


def values_of(blocks: tuple[Block, ...], place: Place) -> FloatArray:
    """Return the columns side by side, shape (rows, columns), or (rows,) for one; or the whole array."""
    names = place.columns or (ARRAY,)
    numbers = blocks[place.file].numbers
    return numbers[names[0]] if len(names) == 1 else np.stack([numbers[name] for name in names], axis=1)
