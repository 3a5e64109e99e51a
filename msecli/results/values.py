"""The layout of values of elements, such as losses and gradients."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Self

from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa


class Layout(NamedTuple):
    """The shape of a row of values, the names of its elements, and the names of the keys beside it."""

    item: tuple[int, ...]
    names: tuple[str, ...]
    keys: tuple[str, ...] = ()

    @classmethod
    def of(cls, item: tuple[int, ...], columns: tuple[str, ...], single: str, keys: tuple[str, ...] = ()) -> Self:
        """Return a layout that names elements by column, or by index without columns; `single` names an only one."""
        if item in ((), (1,)):
            return cls(item, (single,), keys)
        if len(columns) > 1:
            return cls(item, columns, keys)
        return cls(item, tuple("_".join(map(str, index)) for index in product(*map(range, item))), keys)


Keys = Mapping[str, "pa.Array"]
"""The keys of some rows, by column; empty for rows paired by position."""
