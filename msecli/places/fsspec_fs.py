"""Files that fsspec finds: those of the Hugging Face Hub, of FTP and SSH servers, and whatever else it knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from fsspec.core import url_to_fs
from fsspec.registry import known_implementations

from msecli.errors import MsecliError, ReadWriteError, similar
from msecli.places.base import InputFile
from msecli.places.file import CHUNK_BYTES, changed, spooled
from msecli.places.remote import PassingError, RemoteFile, retried, shortened
from msecli.tuples import NamedTuple

RANGED = frozenset({"hf"})
"""File systems that read ranges well, each by a request of its own, besides the asynchronous ones.

The others have one connection, or unpack what they read, so they read a file once, from its beginning to its end.
"""

REFUSED = {401: "the credentials are missing or not accepted", 403: "access is denied", 404: "no such file"}


class FsspecObject(NamedTuple):
    """A file of a file system of fsspec. See `msecli.places.remote.RemoteObject`."""

    url: str
    shown: str
    size: int
    version: str

    def fetch(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` up to, not including, `stop`."""
        with _explained(self.shown):
            # fsspec has an instance for each thread.
            system, path = url_to_fs(self.url)
            plain = {} if system.async_impl else {"cache_type": "none"}
            content: bytes = system.cat_file(path, start=start, end=stop, **plain)
        return content

    def verify(self) -> None:
        """Raise `DataError` if the file has changed."""
        with _explained(self.shown):
            system, path = url_to_fs(self.url)
            system.invalidate_cache()
            version = system.ukey(path)
        if version != self.version:
            raise changed(self.shown)


def open_file(path: str, word: str, shown: str) -> InputFile:
    """Return a file that fsspec finds; a copy if its file system does not read ranges well.

    Raises
    ------
    ReadWriteError
    DataError
        If it is empty.
    """
    scheme = path.partition("://")[0]
    if scheme.lower() not in known_implementations:
        near = similar(scheme, ("s3", *known_implementations))
        known = ", ".join(sorted(known_implementations))
        hint = f"; did you mean {near}://?" if near else ""
        raise ReadWriteError(f"{shown}: no place is called {scheme}://{hint} There are {known}")
    return retried(shown, partial(_opened, path, word, shown))


def _opened(path: str, word: str, shown: str) -> InputFile:
    with _explained(shown):
        system, inside = url_to_fs(path)
        info = system.info(inside)
        if info.get("type") == "directory":
            raise ReadWriteError(f"{shown}: this is a folder, not a file")
        if info.get("size") is not None and (system.async_impl or not RANGED.isdisjoint(_protocols(system))):
            return RemoteFile(shown, word, FsspecObject(path, shown, info["size"], system.ukey(inside)))
        with system.open(inside, "rb") as stream:
            copy = spooled(shown, iter(partial(stream.read, CHUNK_BYTES), b""))
        copy.word = word
        return copy


def _protocols(system: Any) -> tuple[str, ...]:
    return (system.protocol,) if isinstance(system.protocol, str) else tuple(system.protocol)


@contextmanager
def _explained(shown: str) -> Iterator[None]:
    try:
        yield
    except (MsecliError, PassingError):
        raise
    except FileNotFoundError as error:
        raise ReadWriteError(f"{shown}: no such file") from error
    except PermissionError as error:
        raise ReadWriteError(f"{shown}: {REFUSED[403]}") from error
    except ImportError as error:
        raise ReadWriteError(f"{shown}: {shortened(error)}") from error
    except (ConnectionError, TimeoutError, EOFError) as error:
        raise PassingError(f"the connection was lost ({type(error).__name__})") from error
    except Exception as error:  # each file system raises errors of its own library
        status: Any = getattr(getattr(error, "response", None), "status_code", None) or getattr(error, "status", None)
        raise ReadWriteError(f"{shown}: {REFUSED.get(status) or f'cannot read: {shortened(error)}'}") from error
