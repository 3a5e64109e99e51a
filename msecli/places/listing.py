"""The files of a path that names many, a folder or a pattern as in a shell, in any place that can list folders."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from msecli.places import is_wild
from msecli.tuples import NamedTuple

ANY_FOLDERS = "**"
"""The component of a pattern that stands for any number of folders."""

SPECIAL = (".", "_")
"""How the names of files begin that hold no data: hidden files, and markers such as _SUCCESS."""

CHECKSUMS = ".crc"
"""How the names of checksums end."""


class Lister(Protocol):
    """The function of a place that lists what is below a folder; `msecli.places.Place.lister` is its name.

    It is called with every path of the place, before a file is opened; for a path that names a file it should cost no
    more than opening the file does.
    """

    def __call__(self, folder: str, enter: Callable[[str], bool], /) -> Iterable[str] | None:
        """Return the files below a folder, at any depth and in any order.

        Parameters
        ----------
        folder : str
            A path of the place, such as "preds" or "s3://bucket/preds".
        enter : callable
            From the path of a folder below this one, such as "region=north/year=2024", to whether the files below it
            are wanted. A place that lists all depths at once need not ask: what is not wanted is left out later.

        Returns
        -------
        iterable of str, or None
            The paths of the files relative to the folder, with "/" between names; hidden files and markers included,
            folders and what a store keeps in place of folders not. None if there is no such folder.

        Raises
        ------
        ReadWriteError
            If the folder is there, but it or one below it cannot be listed; also while the result is iterated over.
        """
        ...


class Listing(NamedTuple):
    """The files of a path that names many.

    Parameters
    ----------
    root : str
        The folder that they are below: that of the path, or the part of a pattern before its first wild component.
    files : tuple of str
        Their paths relative to the root, in natural order: part-2 comes before part-10.
    skipped : int
        How many files and folders were passed over because their names are those of no data; see `SPECIAL`.
    """

    root: str
    files: tuple[str, ...]
    skipped: int

    @property
    def paths(self) -> tuple[str, ...]:
        """The whole paths of the files."""
        return tuple(below(self.root, file) for file in self.files)


def below(root: str, file: str) -> str:
    """Return the whole path of a file below a folder."""
    return f"{root}{'' if not root or root.endswith('/') else '/'}{file}"


def listing_of(path: str, lister: Lister) -> Listing | None:
    """Return the files of a folder or of a pattern; None if the path is neither.

    In a pattern `*`, `?` and `[…]` match as in a shell, and `**` any number of folders. A path that is the name of a
    file or a folder is no pattern.

    Raises
    ------
    ReadWriteError
        If a folder cannot be listed.
    """
    everything = _Pattern((ANY_FOLDERS,))
    found = lister(path, everything.enter)
    if found is not None:
        return everything.listing(path, found)
    if not is_wild(path):
        return None
    fixed, components = _split(path)
    pattern = _Pattern(components)
    found = lister(fixed or ".", pattern.enter)
    files = None if found is None else list(found)
    # Without the folder, or of this very name, it is a file, or one that is missed when it is opened.
    return None if files is None or "/".join(components) in files else pattern.listing(fixed, files)


def would_name(path: str, file: str) -> bool:
    """Tell whether a local path is a folder that a file lies in, at any depth, or a pattern that its name matches."""
    real = os.path.realpath(file)
    if os.path.isdir(path):
        return real.startswith(os.path.join(os.path.realpath(path), ""))
    if not is_wild(path) or os.path.exists(path):
        return False
    fixed, components = _split(path)
    root = os.path.join(os.path.realpath(fixed or "."), "")
    return real.startswith(root) and _Pattern(components).names(real.removeprefix(root))


def _split(path: str) -> tuple[str, tuple[str, ...]]:
    """Return the folder before the first wild component of a path, and the components from there on."""
    components = path.split("/")
    first = next(number for number, component in enumerate(components) if is_wild(component))
    fixed = "/".join(components[:first])
    # "/*" is below the root of the file system, and "runs/*/" stands for all that is in the folders.
    wild = [component for component in components[first:] if component]
    return fixed or ("/" if first else ""), (*wild, *([ANY_FOLDERS] if path.endswith("/") else []))


class _Pattern:
    """A pattern of relative paths, and what is passed over because of its name."""

    def __init__(self, components: Sequence[str]) -> None:
        self._components = components
        self._named = [component for component in components if component.startswith(SPECIAL)]
        self._skipped: set[str] = set()

    def enter(self, folder: str) -> bool:
        """Tell whether files below a folder may match."""
        if not self._leads(folder.split("/"), self._components, to_file=False):
            return False
        over = self._passed_over(folder)
        if over is not None:
            self._skipped.add(over)
        return over is None

    def names(self, file: str) -> bool:
        """Tell whether a file matches."""
        over = self._passed_over(file)
        if over is not None and over != file:
            return self.enter(over)
        matches = self._leads(file.split("/"), self._components, to_file=True)
        if matches and over is not None:
            self._skipped.add(file)
        return matches and over is None

    def listing(self, root: str, files: Iterable[str]) -> Listing:
        """Return those of the files that match."""
        kept = sorted(filter(self.names, files), key=lambda file: (natural(file), file))
        return Listing(root, tuple(kept), len(self._skipped))

    def _passed_over(self, path: str) -> str | None:
        """Return the path of what is passed over: the path itself, or a folder above it; None if it is not."""
        names = path.split("/")
        for number, name in enumerate(names, 1):
            if is_special(name) and not any(_matches(component, name) for component in self._named):
                return "/".join(names[:number])
        return None

    def _leads(self, names: Sequence[str], components: Sequence[str], *, to_file: bool) -> bool:
        """Tell whether the components match all of the names, or, of a folder, names to which others may follow."""
        if not names:
            return bool(components) != to_file
        if not components:
            return False
        if components[0] == ANY_FOLDERS:
            rest = components[1:]
            return not rest or any(
                self._leads(names[skipped:], rest, to_file=to_file) for skipped in range(len(names) + (not to_file))
            )
        return _matches(components[0], names[0]) and self._leads(names[1:], components[1:], to_file=to_file)


def is_special(name: str) -> bool:
    """Tell whether a name is that of no data: hidden, a marker, or a checksum; a partition's may begin with "_"."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name) or name.endswith(CHECKSUMS)


def _matches(component: str, name: str) -> bool:
    from fnmatch import fnmatchcase

    return name == component or fnmatchcase(name, component)


def natural(path: str) -> tuple[tuple[tuple[int, int, str], ...], ...]:
    """Return what paths are ordered by: their components, in which digits count as a number.

    Examples
    --------
    >>> sorted(["part-10", "part-2", "b/1", "b", "a2/x"], key=natural)
    ['a2/x', 'b', 'b/1', 'part-2', 'part-10']
    """
    return tuple(tuple(map(_piece, filter(None, re.split("([0-9]+)", name)))) for name in path.split("/"))


def _piece(text: str) -> tuple[int, int, str]:
    return (0, int(text), "") if text[0] in "0123456789" else (1, 0, text)
