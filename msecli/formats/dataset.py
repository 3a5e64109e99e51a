"""Datasets of xarray whose variables are along one dimension, as tables in memory."""

from __future__ import annotations

import sys  # xarray has loaded pandas
from typing import Any

from msecli.errors import DataError
from msecli.formats.base import Source
from msecli.formats.memory import open_memory

COORDINATE = "coordinate"
"""The kind of a column that says where the values of a Dataset are: it is data only if it is named."""


def open_dataset(data: Any, what: str) -> Source:
    """Return a Dataset as a table of its variables, followed by its coordinates.

    Parameters
    ----------
    data : xarray.Dataset
    what : str
        The name of the data in messages.

    Raises
    ------
    DataError
        If the variables are not along one and the same dimension.
    """
    if len({each.dims for each in data.data_vars.values()}) != 1 or len(data.dims) != 1:
        shapes = ", ".join(f"{name!r} {each.dims}" for name, each in data.data_vars.items())
        raise DataError(
            f"{what}: the variables of an xarray Dataset are the columns of a table if all are along one dimension; "
            f"here they are {shapes or 'none'}; pass one of them, such as data[NAME]"
        )
    # Some coordinates have no dimension: they are the same for all rows.
    coordinates = {str(name): each for name, each in data.coords.items() if each.dims}
    columns = [*((str(name), each) for name, each in data.data_vars.items()), *coordinates.items()]
    frame = sys.modules["pandas"].DataFrame({number: each.to_numpy() for number, (_, each) in enumerate(columns)})
    frame.columns = [name for name, _ in columns]
    source = open_memory(frame, what)
    source.columns = tuple(
        column._replace(kind=COORDINATE, aside=True) if column.name in coordinates else column
        for column in source.columns or ()
    )
    return source
