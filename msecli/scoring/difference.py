"""Compare two earlier results."""

from __future__ import annotations

from typing import Any

from msecli.core.parameters import data
from msecli.errors import Problems, UsageError
from msecli.results.difference import Difference, difference_of
from msecli.scoring.saved import Saved, read_saved


def compare_saved(old: Any, new: Any) -> Difference:
    """Return what changed between two results.

    Raises
    ------
    DataError, ReadWriteError
        With the problems of both files.
    """
    problems, saved = Problems(), list[Saved]()
    for name, each in (("old", old), ("new", new)):
        if each is None:
            raise UsageError(f"`{name}`: None is neither a path nor a result")
        with problems.collect():
            saved.append(read_saved(data(name, each), name))
    problems.raise_found()
    return difference_of(*((each.path, each.document) for each in saved))
