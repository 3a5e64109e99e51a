"""Datasets of HDF5 files, read by row ranges that keep to their chunks; and groups of them as tables.

Only what is in the file itself is read: links to other files, and datasets whose numbers lie in other files, are
refused, because a file from elsewhere could name any file of this machine.
"""

from __future__ import annotations

import contextlib
import io
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np

from msecli.core.check import check_dtype
from msecli.errors import DataError, ReadWriteError, Warned
from msecli.formats.base import Column
from msecli.formats.named import LISTED, among, inside
from msecli.formats.stored import (
    Arrays,
    StoredSource,
    column_of,
    columns_of,
    numbered_columns,
    record_columns,
    rows_of_part,
)
from msecli.places import INNER
from msecli.places.base import InputFile
from msecli.places.fileobject import FileObject
from msecli.text.reading import Reading
from msecli.tuples import NamedTuple

BUFFER_BYTES = 1 << 16

MOST_LINKS = 32
"""Soft links that are followed one after another: a link may lead back to itself."""

MOST_LISTED = 1000
"""Datasets that are looked for, if none is named."""

PANDAS = "pandas_type"
"""The attribute of a group that pandas has written, in a layout of its own."""

SCALES = ("scale_factor", "add_offset", "_FillValue", "missing_value")
"""Attributes by which other programs convert what is stored: the conventions of netCDF."""

DEFLATE, SHUFFLE, FLETCHER = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32
LEAST_BYTES = {FLETCHER: 5, h5py.h5z.FILTER_SZIP: 5, h5py.h5z.FILTER_SCALEOFFSET: 21}
"""Of a chunk that a filter has made: it has a checksum or a header. HDF5 does not look whether these are there."""

TEXT = "text"
"""What the kind of a column of strings of any length is called; h5py gives Python objects."""

DAMAGED = (
    OSError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    NotImplementedError,
    zlib.error,
    MemoryError,
    OverflowError,
)
"""What h5py raises on damaged files."""


class Dataset(NamedTuple):
    """A dataset in a file. See `msecli.formats.stored.Stored`.

    Parameters
    ----------
    file : InputFile
    name : str
        Its path in the file, without links.
    shape : tuple of int
    dtype : dtype
    chunk : int
        Rows in a chunk; 1 if the rows are not in chunks.
    text : bool
        Whether it holds strings.
    """

    file: InputFile
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunk: int
    text: bool

    @property
    def kind(self) -> str:
        """What messages call the type of the numbers."""
        return str(self.dtype)

    @property
    def columns(self) -> tuple[Column, ...] | None:
        """The fields of records; those of a 2-D dataset are named by their numbers from 0."""
        if self.dtype.names:
            return record_columns(self.dtype)
        return numbered_columns(self.shape, self.kind)

    @property
    def item(self) -> tuple[int, ...] | None:
        """The shape of a row of the nameless array."""
        return None if self.dtype.names else self.shape[1:]

    @property
    def step(self) -> int:
        """Rows in a part: as many chunks as fit into one, because each is decompressed as a whole."""
        return max(1, rows_of_part(self.shape, self.dtype) // self.chunk) * self.chunk

    def read(self, start: int, stop: int, names: Sequence[str]) -> Arrays:
        """Return these columns of some rows."""
        with _opened(self.file) as file:
            return columns_of(self.rows(file, start, stop), names)

    def rows(self, file: Any, start: int, stop: int) -> Any:
        """Return rows from the open file; strings as Python's bytes."""
        return file[self.name][start:stop]


class Group(NamedTuple):
    """Datasets of equal length as the columns of a table. See `msecli.formats.stored.Stored`."""

    file: InputFile
    members: Mapping[str, Dataset]

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of rows."""
        return next(iter(self.members.values())).shape[:1]

    @property
    def kind(self) -> str:
        """Empty: a table."""
        return ""

    @property
    def columns(self) -> tuple[Column, ...] | None:
        """A column for each dataset."""
        return tuple(
            Column(name, TEXT, numeric=False) if each.text else column_of(name, np.dtype((each.dtype, each.shape[1:])))
            for name, each in self.members.items()
        )

    @property
    def item(self) -> tuple[int, ...] | None:
        """None: a table."""
        return None

    @property
    def step(self) -> int:
        """Rows in a part: a multiple of the largest chunk, which the others' divide if they were written alike."""
        longest = max(each.chunk for each in self.members.values())
        return max(1, min(each.step for each in self.members.values()) // longest) * longest

    def read(self, start: int, stop: int, names: Sequence[str]) -> Arrays:
        """Return these columns of some rows."""
        with _opened(self.file) as file:
            return {name: self.members[name].rows(file, start, stop) for name in names}


def open_hdf5(file: InputFile, reading: Reading, inner: str = "") -> StoredSource:
    """Return a dataset of a file, or a group of them: that of the path `inner`, or the only dataset.

    Raises
    ------
    DataError
        If the file is damaged, `inner` does not say which of several datasets, or the values lie in other files.
    """
    with _opened(file) as opened:
        found = _resolved(file.path, opened, inner) if inner else _only(file.path, opened)
        _check_writer(file.path, found)
        if isinstance(found, h5py.Group):
            group = _group(file, found)
            warnings = [each for name in group.members for each in _warnings(file.path, found[name])]
            return StoredSource("hdf5", file, group, warnings)
        dataset = _dataset(file, found)
        _check_array(file.path, dataset)
        return StoredSource("hdf5", file, dataset, _warnings(file.path, found))


def names(file: InputFile) -> Sequence[str]:
    """Return the paths of the datasets."""
    with _opened(file) as opened:
        return _names(opened)


@contextmanager
def _opened(file: InputFile) -> Iterator[Any]:
    # HDF5 itself opens only a path, and not that of an unnamed file. Values it reads in large pieces, so that this
    # costs little; headers in small ones, which may come from far away.
    try:
        with h5py.File(io.BufferedReader(FileObject(file), BUFFER_BYTES), "r") as opened:
            yield opened
    except (DataError, ReadWriteError):
        raise
    except DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{file.path}: the HDF5 file cannot be read ({reason}); is it an incomplete copy?") from error


def _resolved(path: str, file: Any, name: str) -> Any:
    """Return what a path in the file leads to, link by link, none of which leads out of it."""
    found, steps, links = file["/"], name.split("/"), 0
    while steps:
        step = steps.pop(0)
        if step in {"", "."}:
            continue
        kind = _link_kind(found, step)
        if kind is None:
            raise DataError(f"{path}: no dataset or group {name!r}; {among(name, _names(file))}")
        if kind == h5py.h5l.TYPE_SOFT:
            links += 1
            if links > MOST_LINKS:
                raise DataError(f"{path}: the links at {name!r} lead back to themselves")
            target = found.id.links.get_val(step.encode()).decode()
            steps = [*target.split("/"), *steps]
            found = file["/"] if target.startswith("/") else found
            continue
        if kind != h5py.h5l.TYPE_HARD:
            raise DataError(f"{path}: {name!r} is a link to another file, which is not followed; name that file")
        found = found[step]
    return found


def _link_kind(group: Any, name: str) -> int | None:
    """Return the kind of a link of a group, without following it as h5py's own ways do; None if there is none."""
    if not isinstance(group, h5py.Group) or not group.id.links.exists(name.encode()):
        return None
    return int(group.id.links.get_info(name.encode()).type)


def _names(file: Any) -> list[str]:
    """Return the paths of the datasets of a file."""
    return [each.name.removeprefix("/") for each in _datasets(file)]


def _datasets(file: Any) -> list[Any]:
    found: list[Any] = []

    def collect(_: str, each: Any) -> bool | None:
        if isinstance(each, h5py.Dataset):
            found.append(each)
        return True if len(found) > MOST_LISTED else None

    # Visits what is in the file itself, each dataset once: it follows no links to others, and none by name.
    file.visititems(collect)
    return found


def _only(path: str, file: Any) -> Any:
    for each in (file, *(file[name] for name in _inside(file))):
        _check_writer(path, each)
    found = _datasets(file)
    if not found:
        raise DataError(f"{path}: the HDF5 file holds no dataset")
    if len(found) > 1:
        listed = [f"{each.name.removeprefix('/')!r} {each.shape} {each.dtype}" for each in found[:LISTED]]
        more = f", … (more than {LISTED})" if len(found) > LISTED else ""
        outer = path.removesuffix(INNER)
        one = next((each for each in found if each.shape and each.dtype.kind in "biuf"), found[0])
        table = _table(file, found)
        group = "" if table is None else f", or a group, whose datasets are columns: {inside(outer, table)}"
        raise DataError(
            f"{outer}: the file holds several datasets: {', '.join(listed)}{more}; "
            f"name one of them: {inside(outer, one.name.removeprefix('/'))}{group}"
        )
    return found[0]


def _table(file: Any, datasets: Sequence[Any]) -> str | None:
    """Return the path of the first group of which several datasets are the columns of a table."""
    for name in dict.fromkeys(each.name.rpartition("/")[0] for each in datasets):
        lengths = [each.shape[0] for each in _members(file[name or "/"]).values()]
        if len(lengths) > 1 and len(set(lengths)) == 1:
            return name.removeprefix("/") or "/"
    return None


def _members(group: Any) -> dict[str, Any]:
    """Return the datasets of a group; single numbers and groups in it are no columns."""
    found = {name: group[name] for name in _inside(group)}
    return {name: each for name, each in found.items() if isinstance(each, h5py.Dataset) and each.shape}


def _inside(group: Any) -> list[str]:
    """Return the names of what is in a group itself, rather than linked to by it."""
    return [name for name in group if _link_kind(group, name) == h5py.h5l.TYPE_HARD]


def _check_writer(path: str, found: Any) -> None:
    """Refuse a group in which pandas has kept a DataFrame."""
    if isinstance(found, h5py.Group) and PANDAS in found.attrs:
        key = found.name.removeprefix("/")
        outer = path.partition(INNER)[0]
        raise DataError(
            f"{path}: pandas has written the group {key!r} in a layout of its own; write it as Parquet: "
            f"pandas.read_hdf({outer!r}, {key!r}).to_parquet(FILE)"
        )


def _group(file: InputFile, group: Any) -> Group:
    """Return the datasets of a group as a table."""
    members = _members(group)
    if not members:
        raise DataError(f"{file.path}: the group holds no dataset with rows")
    if len({each.shape[0] for each in members.values()}) > 1:
        listed = [f"{name!r} {each.shape}" for name, each in [*members.items()][:LISTED]]
        name = next(iter(members.values())).name.removeprefix("/")
        raise DataError(
            f"{file.path}: the datasets of the group are of different lengths, so that they are not columns of one "
            f"table: {', '.join(listed)}; name one of them: {inside(file.path.partition(INNER)[0], name)}"
        )
    columns = {name: _dataset(file, each) for name, each in members.items()}
    if not next(iter(columns.values())).shape[0]:
        raise DataError(f"{file.path}: the table has no rows")
    return Group(file, columns)


def _dataset(file: InputFile, found: Any) -> Dataset:
    path, name = file.path, found.name.removeprefix("/")
    if found.is_virtual:
        raise DataError(f"{path}: the dataset {name!r} is made of others, of this file or of other files; copy it")
    if found.external:
        raise DataError(f"{path}: the values of the dataset {name!r} lie in another file, {found.external[0][0]}")
    if found.shape is None:
        raise DataError(f"{path}: the dataset {name!r} is empty")
    _check_filters(path, name, found.id.get_create_plist())
    _check_storage(file, found)
    text = h5py.check_string_dtype(found.dtype) is not None
    chunk = found.chunks[0] if found.chunks else 1
    return Dataset(file, found.name, found.shape, found.dtype, min(chunk, max(1, sum(found.shape[:1]))), text)


def _check_storage(file: InputFile, dataset: Any) -> None:
    """Compare where the values are said to lie with the shape and with the file.

    HDF5 trusts these numbers: on damaged ones it crashes, or returns what happens to be in memory. What was never
    written it fills up, with zeros unless the writer says otherwise, which would be scored like other values.
    """
    path, name, id = file.path, dataset.name.removeprefix("/"), dataset.id
    if dataset.chunks:
        places = list[Any]()
        id.chunk_iter(places.append)
        stored, needed = len(places), _count_chunks(dataset)
        ends = [chunk.byte_offset + chunk.size for chunk in places]
        wrong = stored > needed or any(end > file.size for end in ends) or not all(_is_chunk(dataset, places))
    else:
        stored = id.get_storage_size()
        # Strings of any length lie elsewhere in the file, and a few values in the header, which has no offset.
        needed = stored if dataset.dtype.hasobject else dataset.size * id.get_type().get_size()
        wrong = stored not in {0, needed} or (id.get_offset() or 0) + stored > file.size
    if wrong:
        raise DataError(f"{path}: the values of the dataset {name!r} do not lie where the file says; is it damaged?")
    if stored < needed and dataset.dtype.kind in "biufV" and not _is_nan(dataset.fillvalue):
        raise DataError(
            f"{path}: {needed - stored} of {needed} {'chunks' if dataset.chunks else 'bytes'} of the dataset {name!r} "
            f"were never written, so that its values there are {dataset.fillvalue}; is the run that wrote it complete?"
        )


def _is_nan(value: Any) -> bool:
    return bool(np.asarray(value).dtype.kind == "f" and np.isnan(value))


def _count_chunks(dataset: Any) -> int:
    """Return how many chunks the shape needs."""
    return math.prod(-(-length // chunk) for length, chunk in zip(dataset.shape, dataset.chunks, strict=True))


def _is_chunk(dataset: Any, places: Sequence[Any]) -> Iterator[bool]:
    """Tell whether chunks begin and are as large as they can; and the first one also once it is decompressed."""
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(number)[0] for number in range(plist.get_nfilters())]
    size = math.prod(dataset.chunks) * dataset.id.get_type().get_size()
    least = max((LEAST_BYTES.get(code, 1) for code in filters), default=1)
    exact = not filters and not dataset.dtype.hasobject
    for chunk in places:
        yield chunk.size >= least and (not exact or chunk.size == size)
        yield all(start % step == 0 for start, step in zip(chunk.chunk_offset, dataset.chunks, strict=True))
    if (
        places
        and not dataset.dtype.hasobject
        and DEFLATE in filters
        and {*filters} <= {DEFLATE, SHUFFLE, FLETCHER}
        and not places[0].filter_mask
    ):
        _, content = dataset.id.read_direct_chunk(places[0].chunk_offset)
        # A checksum of 4 bytes stands behind what it is of: behind the values, unless it is made after they are packed.
        whole = size + 4 * filters[: filters.index(DEFLATE)].count(FLETCHER)
        yield len(zlib.decompressobj().decompress(content, whole + 1)) == whole


def _check_filters(path: str, name: str, plist: Any) -> None:
    for number in range(plist.get_nfilters()):
        code, _, _, called = plist.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            # It registers what it knows.
            with contextlib.suppress(ImportError):
                import hdf5plugin  # noqa: F401
        if not h5py.h5z.filter_avail(code):
            raise DataError(
                f"{path}: the dataset {name!r} is compressed with a filter that h5py lacks, number {code} "
                f"({called.decode(errors='replace')}); run: pip install hdf5plugin"
            )


def _check_array(path: str, dataset: Dataset) -> None:
    if dataset.dtype.names and len(dataset.shape) != 1:
        raise DataError(f"{path}: records of shape {dataset.shape} are no table, which has one dimension")
    if not dataset.dtype.names:
        if dataset.text:
            raise DataError(f"{path}: the dataset holds text, not numbers")
        check_dtype(dataset.dtype, path)
    if not dataset.shape:
        raise DataError(f"{path}: the dataset is a single number (0-dimensional); a loss needs at least one row")
    if not math.prod(dataset.shape):
        raise DataError(f"{path}: the dataset of shape {dataset.shape} has no elements; a loss needs at least one")


def _warnings(path: str, dataset: Any) -> list[Warned]:
    """Return what is odd about a dataset with numbers: that they may stand for others."""
    if dataset.dtype.kind not in "biuf":
        return []
    found, where = [], f"{path}, dataset {dataset.name.removeprefix('/')!r}"
    scales = [name for name in SCALES if name in dataset.attrs]
    if scales:
        meaning = f"its attributes {', '.join(scales)} are not applied: the values are those that are stored"
        found.append(Warned("attributes_not_applied", where, meaning))
    return found
