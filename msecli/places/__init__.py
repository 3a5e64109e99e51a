"""The table of places where input files lie, and the opening of a file in any of them.

A place is a module whose opener turns a path into an `InputFile`; see `msecli.places.base`.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from msecli.places.compressed import decompressed

if TYPE_CHECKING:
    from msecli.places.base import InputFile

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
    """

    name: str
    meaning: str
    schemes: tuple[str, ...]
    module: str
    opener: str

    def open(self, path: str, word: str, shown: str) -> InputFile:
        """Return the file of a path in this place."""
        file: InputFile = getattr(import_module(f"msecli.places.{self.module}"), self.opener)(path, word, shown)
        return file


LOCAL = Place("local", "files of this machine, and standard input", (), "local", "open_local")

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


def split_inner(path: str) -> tuple[str, str]:
    """Split a path from the name of what is meant in the file: "x.npz::pred" into "x.npz" and "pred"."""
    outer, mark, inner = path.rpartition(INNER)
    return (outer, inner) if mark and outer and not os.path.exists(path) else (path, "")
