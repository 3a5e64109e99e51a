"""Whole arrays from files: the parameters of models, which are small."""

from __future__ import annotations

import numpy as np

from msecli.core.exact import FloatArray
from msecli.engines.local import LocalEngine
from msecli.errors import DataError
from msecli.sources import open_source
from msecli.sources.base import ARRAY, Reading, Selection
from msecli.sources.columns import numeric_columns


def read_array(path: str, reading: Reading) -> FloatArray:
    """Return the numbers of a file: an array as it is, a table's numeric columns side by side.

    Returns
    -------
    ndarray of float64
        Shape (rows,) for a single column, (rows, columns) for several; a row index is left out.

    Raises
    ------
    DataError
        If a table has no numeric column, or a number is missing.
    """
    source = open_source(path, reading)
    names: tuple[str, ...] = () if source.item is not None else numeric_columns(source)
    with LocalEngine(jobs=1) as engine:
        blocks = list(engine.run(source.parts(Selection(names))))
    columns = [np.concatenate([block.numbers[name] for block in blocks]) for name in names or (ARRAY,)]
    array = columns[0] if len(columns) == 1 else np.stack(columns, axis=1)
    if np.isnan(array).any():
        row = int(np.argmax(np.isnan(array).reshape(len(array), -1).any(axis=1)))
        raise DataError(f"{path}: a number is missing in row {row + 1}")
    return array
