"""The table of places where input files lie, and the opening of a file in any of them.

A place is a module whose opener turns a path into an `InputFile`; see `msecli.places.base`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from msecli.places.compressed import decompressed

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from msecli.places.base import InputFile
    from msecli.places.listing import Listing

WILD = frozenset("*?[")
"""What makes a path a pattern, unless a file has this very name."""

INNER = "::"
"""What stands in a path before the name of an array, a sheet or a table in the file."""


class Place(NamedTuple):
    """A line of the `PLACES` table.

    Parameters
    ----------
    name, meaning : str
    schemes : tuple of str
        How its URLs begin, before "://"; none for files of this machine.
    module, opener : str
        A module of `msecli.places`, loaded when a file of the place is opened, and the callable in it that turns a
        path, the word of `InputFile` and the path as the user wrote it into an `InputFile`.
    lister : str
        The callable in the module that lists the files below a folder, a `msecli.places.listing.Lister`; "" if the
        place has no folders.
    """

    name: str
    meaning: str
    schemes: tuple[str, ...]
    module: str
    opener: str
    lister: str = ""

    def open(self, path: str, word: str, shown: str) -> InputFile:
        """Return the file of a path in this place."""
        file: InputFile = getattr(import_module(f"msecli.places.{self.module}"), self.opener)(path, word, shown)
        return file

    def listed(self, path: str) -> Listing | None:
        """Return the files of a path in this place that names many, a folder or a pattern; None if it does not."""
        if not self.lister or (self is LOCAL and not is_wild(path) and not os.path.isdir(path)):
            return None  # most runs need none of what follows
        from msecli.places.listing import listing_of

        return listing_of(path, getattr(import_module(f"msecli.places.{self.module}"), self.lister))


LOCAL = Place("local", "files of this machine, and standard input", (), "local", "open_local", "files_below")

PLACES: dict[str, Place] = {place.name: place for place in (LOCAL,)}


def place_of(path: str) -> Place:
    """Return the place of a path; of an unknown scheme, this machine, where the file is missed."""
    scheme, mark, _ = path.partition("://")
    return next((place for place in PLACES.values() if mark and scheme.lower() in place.schemes), LOCAL)


def open_input(path: str, word: str = "", shown: str = "") -> InputFile:
    """Return the file of a path in any place; of a compressed one, what it holds.

    Parameters
    ----------
    path : str
        A path of this machine, "-" for standard input, or a URL.
    word : str
        What settings call the file, if there are others.
    shown : str
        As the user wrote it, if that is more than the path.

    Raises
    ------
    ReadWriteError
        If the file does not exist or cannot be read.
    DataError
        If it is empty, or compressed and damaged at the beginning.
    """
    return decompressed(place_of(path).open(path, word, shown))


def is_wild(path: str) -> bool:
    """Tell whether a path may be a pattern."""
    return not WILD.isdisjoint(path)


def listed(path: str) -> Listing | None:
    """Return the files of a path in any place that names many, a folder or a pattern; None if it does not.

    Raises
    ------
    ReadWriteError
        If a folder cannot be listed.
    """
    return place_of(path).listed(path)


def is_path(data: Any) -> TypeIs[str | tuple[str, ...]]:
    """Tell whether data are in files: their path, or several."""
    return isinstance(data, str) or (
        isinstance(data, tuple) and bool(data) and all(isinstance(each, str) for each in data)
    )


def paths_of(data: Iterable[Any]) -> tuple[str, ...]:
    """Return the paths among data: of files, folders and patterns, without braces."""
    named = (path for each in data if is_path(each) for path in ((each,) if isinstance(each, str) else each))
    return tuple(chain.from_iterable(map(alternatives, named)))


def files_of(path: str) -> tuple[str, ...]:
    """Return the files that a path names: it alone, or those of a folder or a pattern."""
    outer, _ = split_inner(path)
    found = listed(outer)
    return (outer,) if found is None else found.paths


def would_name(path: str, file: str) -> bool:
    """Tell whether a folder or a pattern of this machine would name a file if that were there."""
    outer, _ = split_inner(path)
    if place_of(outer) is not LOCAL or not (is_wild(outer) or os.path.isdir(outer)):
        return False
    from msecli.places import listing

    return listing.would_name(outer, file)


def alternatives(path: str) -> tuple[str, ...]:
    """Return the paths that one with braces stands for: "part-{0,1}.csv" for two, as in a shell.

    Examples
    --------
    >>> alternatives("{a,b}/part-{0,1}.csv")
    ('a/part-0.csv', 'a/part-1.csv', 'b/part-0.csv', 'b/part-1.csv')
    """
    found = re.search(r"\{([^{}]*,[^{}]*)\}", path) if "{" in path else None
    if found is None or os.path.exists(path):
        return (path,)
    start, end = found.span()
    made = (f"{path[:start]}{each}{path[end:]}" for each in found[1].split(","))
    return tuple(each for one in made for each in alternatives(one))


def split_inner(path: str) -> tuple[str, str]:
    """Split a path from the name of what is meant in the file: "x.npz::pred" into "x.npz" and "pred"."""
    outer, mark, inner = path.rpartition(INNER)
    return (outer, inner) if mark and outer and not os.path.exists(path) else (path, "")
