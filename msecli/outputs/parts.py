"""Folders of values: whoever computes some rows writes theirs to a file of its own; `_SUCCESS` says that all are there.

A part appears whole or not at all, under a name that follows from its number, so that it may be written again. What is
unfinished has a hidden name, which readers pass over.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from msecli.errors import ReadWriteError, UsageError, many, redacted
from msecli.outputs.base import Renderer, Style
from msecli.outputs.files import Staging, writing
from msecli.places import listed, local_path, store_of, would_name

if TYPE_CHECKING:
    from msecli.results.values import Layout

MARKER = "_SUCCESS"
PART = re.compile(r"part-[0-9]+\.\w+")
OURS = re.compile(rf"{PART.pattern}|{MARKER}|\.({PART.pattern}|{MARKER})\.msecli-\w+\.tmp")
"""What a folder of values holds, and what killed processes leave there."""


class PartsFolder:
    """A folder to which values are written in parts. See `msecli.scoring.values.PartedSink`.

    Parameters
    ----------
    path : str
        Of this machine or of a store, with a "/" at the end or without.
    renderer : Renderer
        The format of the parts.
    overwrite : bool
        Whether parts and the marker of an earlier run may be removed.
    resumed : bool
        Whether parts that are there are of this very run.
    """

    def __init__(self, path: str, renderer: Renderer, *, overwrite: bool = False, resumed: bool = False) -> None:
        self.shown, local = redacted(path), local_path(path)
        # Workers have other current folders.
        self.path = os.path.join(local if store_of(local) is not None else os.path.abspath(local), "")
        self._renderer, self._overwrite, self._resumed = renderer, overwrite, resumed
        self._layout: Layout | None = None

    def check(self, option: str, inputs: Iterable[str]) -> None:
        """Refuse a folder that is not there to be written to.

        Raises
        ------
        UsageError
        ReadWriteError
            If the folder that it is to be in is missing.
        """
        part = self._named(0)
        for path in inputs:
            if would_name(path, part) or would_name(self.path, path):
                raise UsageError(f"{option} {self.shown}: the input {path} is there; choose another folder")
        if store_of(self.path) is None and not os.path.isdir(self.path):
            folder = os.path.dirname(os.path.abspath(self.path.rstrip("/")))
            if os.path.exists(self.path.rstrip("/")):
                raise UsageError(f"{option} {self.shown}: this is a file, not a folder")
            if not os.path.isdir(folder):
                raise ReadWriteError(f"{self.shown}: cannot write: there is no folder {folder}")
            return
        names = self._names()
        others = [name for name in names if not OURS.fullmatch(name)]
        if others:
            raise UsageError(f"{option} {self.shown}: the folder holds {others[0]}, too; choose another folder")
        if names and not (self._overwrite or self._resumed):
            raise UsageError(f"{option} {self.shown}: the folder is not empty; use --overwrite to replace its files")

    def begin(self, layout: Layout) -> None:
        """Make the folder if need be; remove what an earlier run has left, the marker first."""
        self._layout = layout
        with writing(self.shown):
            if store_of(self.path) is None:
                os.makedirs(self.path, exist_ok=True)
            for name in sorted(self._names(), key=lambda name: name != MARKER):
                if not self._resumed or name == MARKER:
                    self._remove(name)

    @contextmanager
    def part(self, number: int) -> Iterator[Callable[..., None]]:
        """Yield what takes blocks of values and their keys; the part has its name when the block ends without an error.

        Raises
        ------
        ReadWriteError
        """
        assert self._layout is not None  # noqa: S101 - it has begun
        with Staging(overwrite=True) as staging, staging.open(self._named(number)) as stream:
            writer = self._renderer.values(stream, self._layout, Style())
            yield writer.append
            writer.close(None)

    def finish(self, parts: int) -> None:
        """Write the marker.

        Raises
        ------
        ReadWriteError
            If there are not so many parts.
        """
        with writing(self.shown):
            found = sum(PART.fullmatch(name) is not None for name in self._names())
            if found != parts:
                raise ReadWriteError(
                    f"{self.shown}: there are {found} of {many(parts, 'part')}; all workers must see this folder, and "
                    "nothing else may change it"
                )
            for name in self._names():
                if not PART.fullmatch(name):
                    self._remove(name)
        with Staging(overwrite=True) as staging, staging.open(self.path + MARKER):
            pass

    def _named(self, number: int) -> str:
        return f"{self.path}part-{number:05d}{self._renderer.suffix}"

    def _names(self) -> list[str]:
        """Return the names of all files in the folder; in a store those of parts and the marker."""
        marker = store_of(self.path + MARKER)
        if marker is None:
            return os.listdir(self.path)
        listing = listed(self.path)
        return [*(() if listing is None else listing.files), *([MARKER] if marker.exists() else [])]

    def _remove(self, name: str) -> None:
        store = store_of(self.path + name)
        if store is not None:
            store.remove()
            return
        with suppress(FileNotFoundError):  # a worker that is still there has named or removed it meanwhile
            os.unlink(self.path + name)


def folder_named(text: str, renderers: dict[str, Renderer]) -> tuple[str, Renderer] | None:
    """Return the folder and the format of `FOLDER/` or `FORMAT=FOLDER/`; None for a path of a file.

    A path without "/" at the end names a folder if there is one. Without a format it is that of the folder's suffix, or
    NPY.

    Raises
    ------
    UsageError
        For a format that cannot be read back.
    """
    name, equals, path = text.partition("=")
    renderer: Any = renderers.get(name.lower()) if equals else None
    path = text if renderer is None else path
    if not path.endswith("/") and not (store_of(path) is None and os.path.isdir(local_path(path))):
        return None
    suffix = os.path.splitext(path.rstrip("/"))[1].lower()
    known = {each.suffix: each for each in renderers.values() if each.suffix in READABLE}
    renderer = renderer or known.get(suffix, renderers["npy"])
    if renderer.suffix not in known:
        names = ", ".join(sorted(each.name for each in known.values()))
        raise UsageError(f"{text}: parts of values are in one of the formats {names}")
    return path, renderer


READABLE = frozenset({".csv", ".tsv", ".npy", ".parquet"})
"""The suffixes of formats whose files are an input again, with nothing but the values."""
