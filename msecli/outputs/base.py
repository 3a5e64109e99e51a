"""What every output format offers."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self

from msecli.errors import ReadWriteError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

Document = Mapping[str, Any]
"""A result in the shape of the JSON output."""

BLOCK_BYTES = 1 << 20


Finish = Callable[["NDArray[np.float64]", "NDArray[np.int64] | None"], "NDArray[np.float64]"]
"""Makes the values to be written of those that were appended, and of their exponents."""


class Style(NamedTuple):
    """How the table format looks: significant digits, width in characters (None: the terminal's), and its colours."""

    precision: int = 6
    width: int | None = 80
    color: bool = False
    terminal: bool = False


class Values:
    """One value per element, kept in an unnamed temporary file until all of them and what finishes them are known.

    Parameters
    ----------
    item : tuple of int
        The shape of a row.
    names : tuple of str
        The names of the columns, as many as a row has elements.
    """

    def __init__(self, item: tuple[int, ...], names: tuple[str, ...]) -> None:
        import tempfile

        self.item = item
        self.names = names
        self.rows = 0
        self.finish: Finish | None = None
        self.sign = 1
        self._stretches: list[tuple[int, bool]] = []
        self._keys: dict[str, list[pa.Array]] = {}
        self._origin: Values | None = None
        try:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the values
        except OSError as error:
            raise ReadWriteError(f"cannot make a temporary file: {error.strerror or error}") from error
        weakref.finalize(self, self._file.close)

    @classmethod
    def of(cls, array: NDArray[np.float64], single: str, columns: tuple[str, ...] = ()) -> Self:
        """Return the values of an array of one or more dimensions, with names as `item_names` gives them."""
        values = cls(array.shape[1:], item_names(array.shape[1:], columns, single))
        values.append(array)
        return values

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all values together."""
        return (self.rows, *self.item)

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the columns that say which row it is."""
        return tuple(self._keys)

    def append(
        self,
        block: NDArray[np.float64],
        keys: Mapping[str, pa.Array] | None = None,
        exponent: NDArray[np.int64] | None = None,
    ) -> None:
        """Add rows, shape (rows, ...), with the keys by which they were paired, if they were, and any exponents."""
        self.rows += block.shape[0]
        self._stretches.append((block.shape[0], exponent is not None))
        for name, labels in (keys or {}).items():
            self._keys.setdefault(name, []).append(labels)
        try:
            for array in (block, exponent):
                if array is not None:
                    self._file.write(array.reshape(-1).data.cast("B"))
        except OSError as error:
            raise ReadWriteError(f"cannot write a temporary file: {error.strerror or error}") from error

    def negated(self) -> Self:
        """Return the negatives of these values, from the same temporary file."""
        other = copy.copy(self)
        other.sign = -self.sign
        # The file is closed when the values that made it are gone.
        other._origin = self  # noqa: SLF001 - of this very class
        return other

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        """Yield all values, finished and with their sign, some rows at a time."""
        for block, exponent in self._stored():
            finished = block if self.finish is None else self.finish(block, exponent)
            # 0 - x rather than -x, so that the negative of 0 is 0.
            yield finished if self.sign == 1 else 0.0 - finished

    def _stored(self) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64] | None]]:
        """Yield what was appended: all that has no exponents in blocks of one size, the rest as it came."""
        import numpy as np

        width = len(self.names)
        step = max(1, BLOCK_BYTES // (8 * width))

        def read(rows: int, dtype: type[Any]) -> Any:
            return np.frombuffer(self._file.read(rows * width * 8), dtype=dtype).reshape(rows, *self.item)

        self._file.seek(0)
        for scaled, stretches in groupby(self._stretches, key=itemgetter(1)):
            if scaled:
                yield from ((read(rows, np.float64), read(rows, np.int64)) for rows, _ in stretches)
                continue
            rows = sum(rows for rows, _ in stretches)
            for start in range(0, rows, step):
                yield read(min(step, rows - start), np.float64), None

    def keyed_blocks(self) -> Iterator[tuple[list[pa.Array], NDArray[np.float64]]]:
        """Yield all values as rows of columns, each with the columns of its keys."""
        chunked = [_chunked(arrays) for arrays in self._keys.values()]
        start = 0
        for block in self.blocks():
            rows = len(block)
            keys = [column.slice(start, rows).combine_chunks() for column in chunked]
            yield keys, block.reshape(rows, -1)
            start += rows

    def array(self) -> NDArray[np.float64]:
        """Return all values in one array."""
        import numpy as np

        return np.concatenate([np.empty((0, *self.item)), *self.blocks()])


def float_column(values: NDArray[np.float64], *, nan_is_null: bool) -> pa.Array:
    """Return a column of numbers; `pyarrow.array` would import pandas, wherever it is installed."""
    import numpy as np
    import pyarrow as pa

    valid = ~np.isnan(values) if nan_is_null else None
    bitmap = None if valid is None or valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(pa.float64(), len(values), [bitmap, pa.py_buffer(np.ascontiguousarray(values))])


def result_column(values: Sequence[Any]) -> pa.Array:
    """Return a column of a result's texts, truth values, integers or floats, without pandas."""
    import numpy as np
    import pyarrow as pa

    known = [value for value in values if value is not None]
    if not known:
        return pa.nulls(len(values))
    valid = pa.py_buffer(np.packbits([value is not None for value in values], bitorder="little"))
    if isinstance(known[0], str):
        encoded = [(value or "").encode() for value in values]
        bounds = pa.py_buffer(np.cumsum([0, *map(len, encoded)], dtype=np.int32))
        return pa.Array.from_buffers(pa.string(), len(values), [valid, bounds, pa.py_buffer(b"".join(encoded))])
    if isinstance(known[0], bool):
        bits = pa.py_buffer(np.packbits([bool(value) for value in values], bitorder="little"))
        return pa.Array.from_buffers(pa.bool_(), len(values), [valid, bits])
    kind = np.float64 if any(isinstance(value, float) for value in known) else np.int64
    numbers = pa.py_buffer(np.array([0 if value is None else value for value in values], dtype=kind))
    return pa.Array.from_buffers(pa.from_numpy_dtype(kind), len(values), [valid, numbers])


def _chunked(arrays: list[pa.Array]) -> pa.ChunkedArray:
    import pyarrow as pa

    return pa.chunked_array(arrays)


class Renderer(NamedTuple):
    """A line of the `RENDERERS` table: how a result, and how values per element, are written to a stream.

    `binary` formats are for files only; those that are `whole` tell the metrics beside values of elements, too.
    """

    name: str
    meaning: str
    suffix: str | None
    result: Callable[[BinaryIO, Document, Style], None]
    values: Callable[[BinaryIO, Document | None, Values, Style], None]
    binary: bool = False
    whole: bool = False


def item_names(item: tuple[int, ...], columns: tuple[str, ...], single: str) -> tuple[str, ...]:
    """Return a name for every element of a row: the columns', the one for a single value, or the element's indices."""
    from itertools import product

    if item in ((), (1,)):
        return (single,)
    if len(columns) > 1:
        return columns
    return tuple("_".join(map(str, index)) for index in product(*map(range, item)))


ENTRY_KINDS = {"groups": "group", "columns": "column", "batches": "batch"}
"""The lists of entries that a document may hold, and what each entry is."""


def flat_records(document: Document) -> list[dict[str, Any]]:
    """Return the result as flat rows for tabular formats.

    With entries there is one row for each, then one for all rows pooled and one for the plain mean of the entries;
    `scope` tells which is which.
    """
    if "checks" in document:
        return list(document["checks"])
    if "norms" in document:
        return [{"order": order, "norm": value} for order, value in document["norms"].items()]
    entries = [(kind, entry) for name, kind in ENTRY_KINDS.items() for entry in document.get(name, ())]
    if not entries:
        return [_flat(document, document)]
    flat = [_flat(entry, document) for _, entry in entries]
    pooled, macro = _flat(document, document), {"status": "ok", **document.get("macro", {})}
    taken = {"scope", *(name for record in (*flat, pooled, macro) for name in record)}
    labels = [_free_names(entry_label(kind, entry), taken) for kind, entry in entries]
    records = [
        {"scope": kind, **label, **record} for (kind, _), label, record in zip(entries, labels, flat, strict=True)
    ]
    records += [{"scope": "pooled", **pooled}, {"scope": "macro", **macro}]
    columns = dict.fromkeys(["scope", *(name for label in labels for name in label)])
    columns |= dict.fromkeys(name for record in records for name in record)
    return [columns | record for record in records]


def _free_names(label: Mapping[str, Any], taken: Collection[str]) -> dict[str, Any]:
    """Return labels under names that no other column has."""
    return {f"{name} (label)" if name in taken else name: value for name, value in label.items()}


def entry_label(kind: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the labels of an entry by their names."""
    return dict(entry["group"]) if kind == "group" else {kind: entry[kind]}


def numbers_of(scored: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that a document, or one of its entries, says in numbers: the loss, the metrics, and what is more."""
    if "norms" in scored:
        return dict(scored["norms"])
    if "checks" in scored:
        return {"max_relative_error": scored["max_relative_error"]}
    more = {name: scored[name] for name in ("running_mean", "objective", "gradient_norm") if name in scored}
    penalties = {f"{name}_penalty": value for name, value in scored.get("penalties", {}).items()}
    return {"loss": scored["loss"], **scored["metrics"], **penalties, **more}


def number_texts(scored: Mapping[str, Any]) -> dict[str, str]:
    """Return the numbers of a document, or of one of its entries, as text; nan where there is no loss."""
    words = scored.get("not_finite", {})
    return {name: number_text(value, words.get(name, "nan")) for name, value in numbers_of(scored).items()}


def _flat(scored: Mapping[str, Any], document: Document) -> dict[str, Any]:
    numbers = numbers_of(scored)
    return {
        "loss": numbers.pop("loss"),
        "status": scored["status"],
        **numbers,
        "reduction": document["reduction"],
        "denominator": scored["denominator"],
        "rows_used": scored["rows"]["used"],
        "elements_used": scored["elements"]["used"],
        "signature": document["signature"],
    }


def number_text(value: Any, missing: str = "nan") -> str:
    """Return the shortest digits that read back to the same float64; another word for None."""
    if value is None:
        return missing
    return repr(value) if isinstance(value, float) else str(value)


def nested(values: NDArray[np.float64]) -> Any:
    """Return an array as nested lists, with None for nan and infinities."""
    import numpy as np

    objects = values.astype(object)
    objects[~np.isfinite(values)] = None
    return objects.tolist()
