"""Earlier results, read back from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msecli.errors import DataError, shown
from msecli.places import open_input
from msecli.results.base import SCHEMA, Report
from msecli.tuples import NamedTuple


class Saved(NamedTuple):
    """An earlier result: what messages call it, and its document in the shape of the JSON output."""

    path: str
    document: Mapping[str, Any]


def read_saved(data: Any, name: str) -> Saved:
    """Return an earlier result from a JSON file, or from memory.

    Parameters
    ----------
    data : path, Report or mapping
    name : str
        The parameter that it comes from.

    Raises
    ------
    DataError
        If it is no result.
    ReadWriteError
        If the file cannot be read.
    """
    if isinstance(data, str):
        path, document = data, _parsed(data)
    else:
        path, document = name, data.to_dict() if isinstance(data, Report) else data
    schema = document.get("schema") if isinstance(document, Mapping) else None
    if schema != SCHEMA:
        has = "it has no schema" if schema is None else f"its schema is {shown(str(schema))}"
        raise DataError(f"{path}: this is no result of msecli in JSON: {has}, not {SCHEMA!r}")
    return Saved(path, document)


def _parsed(path: str) -> Any:
    import json

    file = open_input(path)
    try:
        return json.loads(file.read(file.size, 0))
    except ValueError as error:  # also of bytes that are no text
        raise DataError(f"{path}: this is no result of msecli in JSON: {error}") from error
