"""The table of places where input files lie, and the opening of a file in any of them.

A place is a module whose opener turns a path into an `InputFile`; see `msecli.places.base`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING, Any

from msecli.errors import ReadWriteError, UsageError, redacted
from msecli.places.compressed import decompressed
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from msecli.places.base import InputFile, Store
    from msecli.places.listing import Listing

TIMEOUT_VARIABLE = "MSECLI_TIMEOUT"
"""In the environment, the seconds after which a server that sends nothing is given up."""

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
        How its URLs begin, before "://".
    module, opener : str
        A module of `msecli.places`, loaded when a file of the place is opened, and the callable in it that turns a
        path, the word of `InputFile` and the path as the user wrote it, without secrets, into an `InputFile`.
    lister : str
        The callable in the module that lists the files below a folder, a `msecli.places.listing.Lister`; "" if the
        place has no folders.
    store : str
        The callable in the module that turns a path into a `Store`; "" for a place that is only read.
    extra : str
        The extra of msecli that installs what the module needs.
    credentials : str
        Where they come from, for the README.
    """

    name: str
    meaning: str
    schemes: tuple[str, ...]
    module: str
    opener: str
    lister: str = ""
    store: str = ""
    extra: str = ""
    credentials: str = ""

    def open(self, path: str, word: str, shown: str) -> InputFile:
        """Return the file of a path in this place.

        Raises
        ------
        ReadWriteError
            If a library is missing.
        """
        file: InputFile = self._named(self.opener, shown)(path, word, shown)
        return file

    def listed(self, path: str) -> Listing | None:
        """Return the files of a path in this place that names many, a folder or a pattern; None if it does not."""
        if not self.lister:
            return None
        if self is LOCAL:
            path = local_path(path)
            if not is_wild(path) and not os.path.isdir(path):
                return None  # most runs need none of what follows
        from msecli.places.listing import listing_of

        return listing_of(path, self._named(self.lister, redacted(path)))

    def stored(self, path: str) -> Store:
        """Return where an output goes in this place."""
        store: Store = self._named(self.store, redacted(path))(path)
        return store

    def _named(self, name: str, shown: str) -> Any:
        try:
            return getattr(import_module(f"msecli.places.{self.module}"), name)
        except ModuleNotFoundError as error:
            if not self.extra:
                raise
            raise ReadWriteError(
                f"{shown}: {shown.partition('://')[0]}:// needs another library; "
                f"run: pip install 'msecli[{self.extra}]'"
            ) from error


LOCAL = Place("local", "files of this machine, and standard input", ("file",), "local", "open_local", "files_below")
OTHERS = Place(
    "others",
    "the Hugging Face Hub, FTP, SSH and whatever else fsspec knows",
    ("hf", "ftp", "sftp", "github"),
    "fsspec_fs",
    "open_file",
    extra="remote",
    credentials="`HF_TOKEN` or `hf auth login`; those of fsspec's file systems",
)

PLACES: dict[str, Place] = {
    place.name: place
    for place in (
        LOCAL,
        Place(
            "s3",
            "Amazon S3, and servers that speak its protocol",
            ("s3", "s3a"),
            "arrow_fs",
            "open_file",
            lister="files_below",
            store="ArrowStore",
            credentials="`AWS_PROFILE`, or `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `~/.aws`",
        ),
        Place(
            "gs",
            "Google Cloud Storage",
            ("gs", "gcs"),
            "arrow_fs",
            "open_file",
            lister="files_below",
            store="ArrowStore",
            credentials="`GOOGLE_APPLICATION_CREDENTIALS`, or those of `gcloud`",
        ),
        Place(
            "abfs",
            "Azure Blob Storage",
            ("abfs", "abfss"),
            "arrow_fs",
            "open_file",
            lister="files_below",
            store="ArrowStore",
            credentials="`AZURE_STORAGE_ACCOUNT` with `AZURE_STORAGE_KEY`, or those of `az`",
        ),
        Place(
            "https",
            "web servers",
            ("https", "http"),
            "https",
            "open_file",
            extra="remote",
            credentials="in the URL, or `~/.netrc`",
        ),
        OTHERS,
    )
}

URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def is_url(path: str) -> bool:
    """Tell whether a path is a URL rather than that of a file of this machine."""
    return "://" in path and URL.match(path) is not None and not os.path.exists(path)


def place_of(path: str) -> Place:
    """Return the place of a path; URLs of unknown schemes are left to fsspec."""
    if not is_url(path):
        return LOCAL
    scheme = path.partition("://")[0].lower()
    return next((place for place in PLACES.values() if scheme in place.schemes), OTHERS)


def open_input(path: str, word: str = "", shown: str = "") -> InputFile:
    """Return the file of a path in any place; of a compressed one, what it holds.

    Parameters
    ----------
    path : str
        A path of this machine, "-" for standard input, or a URL.
    word : str
        What settings call the file, if there are others.
    shown : str
        As the user wrote it, if that is more than the path. Messages and results show it without secrets.

    Raises
    ------
    ReadWriteError
        If the file does not exist or cannot be read.
    DataError
        If it is empty, or compressed and damaged at the beginning.
    """
    return decompressed(open_stored(path, word, shown))


def open_stored(path: str, word: str = "", shown: str = "") -> InputFile:
    """Return the file of a path in any place as it is stored, compressed or not; see `open_input`."""
    place = place_of(path)
    if place is LOCAL:
        return LOCAL.open(local_path(path), word, shown or path)
    return place.open(path, word, shown_path(shown or path, path))


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
    if place_of(outer) is not LOCAL:
        return False
    outer = local_path(outer)
    if not (is_wild(outer) or os.path.isdir(outer)):
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


def local_path(path: str) -> str:
    """Return the path of a file of this machine, which may be a URL: "file:///home/me/p.csv"."""
    if not path.lower().startswith("file://") or not is_url(path):
        return path
    from urllib.parse import unquote, urlsplit

    host = urlsplit(path).netloc
    if host not in {"", "localhost"}:
        raise ReadWriteError(f"{path}: the file is on the machine {host}; use file:///PATH for files of this one")
    return unquote(path[len("file://") + len(host) :])


def store_of(path: str) -> Store | None:
    """Return where an output goes; None for a path of this machine.

    Raises
    ------
    UsageError
        If nothing can be written there.
    """
    place = place_of(path)
    if place is LOCAL:
        return None
    shown = redacted(path)
    if not place.store:
        known = ", ".join(f"{each.schemes[0]}://" for each in PLACES.values() if each.store)
        raise UsageError(f"{shown}: nothing can be written there; write a file of this machine, or to {known}")
    return place.stored(path)


def shown_path(text: str, path: str = "") -> str:
    """Return a path as messages and results show it: without user, password, and the query of a link.

    Parameters
    ----------
    text : str
    path : str
        The part of it that is the file's; a name after "::" is not.

    Examples
    --------
    >>> shown_path("https://me:secret@host/p.npz?sig=abc def::pred", "https://me:secret@host/p.npz?sig=abc def")
    'https://...@host/p.npz?...::pred'
    """
    path = path or text
    if not is_url(path):
        return text
    scheme = path.partition("://")[0].lower()
    bare = path.partition("?")[0] + "?..." if "?" in path and scheme in {"http", "https"} else path
    return redacted(bare) + (text[len(path) :] if text.startswith(path) else "")


def name_in(path: str) -> str:
    """Return a path without the query of a link, so that it ends in the name and the suffix of the file."""
    return path.partition("?")[0] if is_url(path) and path.lower().startswith("http") else path


def split_inner(path: str) -> tuple[str, str]:
    """Split a path from the name of what is meant in the file: "x.npz::pred" into "x.npz" and "pred".

    URLs that fsspec chains, as in "zip://p.csv::https://host/a.zip", are one path.
    """
    outer, mark, inner = path.rpartition(INNER)
    return (outer, inner) if mark and outer and "://" not in inner and not os.path.exists(path) else (path, "")
