"""Which columns of a table can be scored without being named, and whose names tell what they are."""

from __future__ import annotations

import re
from collections.abc import Collection

from msecli.errors import DataError
from msecli.formats.base import Column, Source
from msecli.pairing.lookup import Names
from msecli.tuples import NamedTuple

IDENTIFYING_NAMES = frozenset((
    "id", "index", "idx", "key", "row", "rowid", "row_id", "no", "nr", "uuid", "guid", "unnamed: 0",
    "__index_level_0__", "date", "time", "datetime", "timestamp", "ds", "period",
))  # fmt: skip

IDENTIFYING_ENDS = ("_id", "_key", "_idx", "_no")

IDENTIFYING_CAMEL_CASE = re.compile(r".*[a-z0-9]I[dD]")
"""Names of columns that identify rows, in any case, and how such names end; they are scored only if named."""

PREDICTION_NAMES = frozenset((
    "pred", "preds", "prediction", "predictions", "predicted", "y_pred", "ypred", "yhat", "y_hat", ".pred", "forecast",
    "fitted", "estimate", "estimated", "output", "outputs", "simulated", "sim",
))  # fmt: skip

TARGET_NAMES = frozenset((
    "target", "targets", "true", "truth", "ground_truth", "gt", "actual", "actuals", "y_true", "ytrue", "y_test", "y",
    "label", "labels", "observed", "obs", "reference", "ref",
))  # fmt: skip
"""Names, in any case, that tell a column's role."""

ONLY_IDS = "the only numeric columns look like row ids"
ONLY_NAMED = "fields of structs, coordinates and what names of folders hold are scored only if they are named"


def is_identifying(number: int, column: Column) -> bool:
    """Tell whether a column identifies rows by its name; the unnamed first column does."""
    name = column.name.strip()
    folded = name.casefold()
    known = folded in IDENTIFYING_NAMES or folded.endswith(IDENTIFYING_ENDS) or (not name and number == 0)
    return known or IDENTIFYING_CAMEL_CASE.fullmatch(name) is not None


def data_columns(source: Source) -> Names:
    """Return the names of a table's numeric columns, except row ids."""
    columns = enumerate(source.columns or ())
    return tuple(column.name for number, column in columns if column.data and not is_identifying(number, column))


def numeric_columns(source: Source, setting: str = "") -> Names:
    """Return the names of a table's numeric columns, except row ids.

    Parameters
    ----------
    source : Source
    setting : str, optional
        The setting that names columns, row ids included, for an error.

    Raises
    ------
    DataError
        If there are none.
    """
    names = data_columns(source)
    if not names:
        numeric = [column for column in source.columns or () if column.numeric]
        advice = f"; use `{setting}=COLUMN`" if setting else ""
        why = ONLY_IDS if any(column.data for column in numeric) else ONLY_NAMED
        raise DataError(f"{source.path}: {why}{advice}" if numeric else f"{source.path}: no column holds numbers")
    return names


class Side(NamedTuple):
    """One side of the choice of columns: the source, the known names, the candidates, and the columns of lists."""

    source: Source
    known_names: frozenset[str]
    setting: str
    candidates: Names
    lists: Names = ()

    @property
    def known(self) -> Names:
        """The candidates, and the columns of lists, whose names are known for this side."""
        columns = (*self.candidates, *self.lists)
        return tuple(name for name in columns if name.strip().lower() in self.known_names)

    @property
    def whole(self) -> bool:
        """Whether this is an array to be scored whole."""
        own = [column for column in self.source.columns or () if not column.outside]
        return self.source.item is not None and len(self.candidates) == len(own)

    @property
    def single(self) -> bool:
        """Whether a row has a single number."""
        return self.source.item == () or len(self.candidates) == 1

    @property
    def all(self) -> Names:
        """All candidates; none for a whole array."""
        return () if self.whole else self.candidates


def side_of(source: Source, known: frozenset[str], setting: str, taken: Collection[str]) -> Side:
    """Return one side of the choice, without the columns that have another role."""
    candidates = tuple(name for name in data_columns(source) if name not in taken)
    lists = tuple(column.name for column in source.columns or () if column.lists and column.name not in taken)
    return Side(source, known, setting, candidates, lists)
