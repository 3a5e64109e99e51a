"""Files on web servers, read a range of bytes at a time through fsspec's HTTP file system."""

from __future__ import annotations

import os
import re
import socket
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime
from functools import cache, partial
from time import time
from typing import Any, TypeVar

import aiohttp
import yarl
from fsspec.asyn import sync
from fsspec.config import conf
from fsspec.implementations.http import HTTPFileSystem

from msecli.errors import DataError, ReadWriteError
from msecli.places.base import InputFile
from msecli.places.file import CHUNK_BYTES, LocalFile, changed, copied, copying
from msecli.places.remote import START_BYTES, PassingError, RemoteFile, retried, timeout
from msecli.tuples import NamedTuple

T = TypeVar("T")

PARTIAL, PRECONDITION_FAILED, UNSATISFIABLE = 206, 412, 416
CREDENTIALS = "~/.netrc, or headers in FSSPEC_HTTPS"
FINAL = {
    401: f"the credentials are missing or not accepted (401 Unauthorized); set {CREDENTIALS}",
    403: "access is denied (403 Forbidden); has a signed link expired?",
    404: "no such file (404 Not Found)",
    410: "no such file (410 Gone)",
}
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""The answers after which a request is worth another try."""


class State(NamedTuple):
    """What an answer tells of the file: its size, and what tells one content from another."""

    size: int
    etag: str
    modified: str

    @classmethod
    def of(cls, size: int, headers: Mapping[str, str]) -> State:
        """Return the state by the headers of an answer."""
        return cls(size, headers.get("ETag", ""), headers.get("Last-Modified", ""))


class HttpObject(NamedTuple):
    """A file on a web server that sends ranges. See `msecli.places.remote.RemoteObject`."""

    url: str
    path: str
    state: State

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.state.size

    @property
    def version(self) -> str:
        """What tells one content from another."""
        return f"{self.state.etag} {self.state.modified}"

    def fetch(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` up to, not including, `stop`."""
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        if self.state.etag and not self.state.etag.startswith("W/"):
            headers["If-Match"] = self.state.etag
        return _run(self.path, partial(self._answer, headers))

    def verify(self) -> None:
        """Raise `DataError` if the file has changed."""
        self.fetch(0, 1)

    async def _answer(self, headers: Mapping[str, str]) -> bytes:
        async with await _get(self.url, headers) as answer:
            if answer.status in {PRECONDITION_FAILED, UNSATISFIABLE}:
                raise changed(self.path)
            _check(self.path, answer)
            if answer.status != PARTIAL:
                # A server that sent ranges before sends the whole of a file that is another one by now.
                raise changed(self.path)
            if State.of(_total(answer), answer.headers) != self.state:
                raise changed(self.path)
            content: bytes = await answer.read()
            return content


def open_file(path: str, word: str, shown: str) -> InputFile:
    """Return a file on a web server; if the server does not send ranges, a copy.

    Raises
    ------
    ReadWriteError
    DataError
        If it is empty.
    """
    tell = copied.get()

    async def opened(headers: Mapping[str, str]) -> InputFile | None:
        async with await _get(path, headers) as answer:
            if answer.status == UNSATISFIABLE:
                raise DataError(f"{shown}: the file is empty (0 bytes)")
            _check(shown, answer)
            if answer.status == PARTIAL:
                if (size := _total(answer)) < 0:
                    return None
                remote = HttpObject(path, shown, State.of(size, answer.headers))
                return RemoteFile(shown, word, remote, await answer.read())
            with copying(shown):
                copy = tempfile.TemporaryFile()  # noqa: SIM115 - kept open for as long as it is in use
            async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                with copying(shown):
                    copy.write(chunk)
                tell(shown, copy.tell())
            with copying(shown):
                copy.flush()
            return LocalFile.of(shown, copy, word)

    start = {"Range": f"bytes=0-{START_BYTES - 1}"}
    for headers in (start, {}):
        file = retried(shown, partial(_run, shown, partial(opened, headers)))
        if file is not None:
            return file
    raise ReadWriteError(f"{shown}: cannot read: the server sends only some of the file")


def _total(answer: Any) -> int:
    """Return the size of the file of which an answer holds a range; -1 if the answer does not tell."""
    found = re.fullmatch(r"bytes \d+-\d+/(\d+)", answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else -1


async def _get(url: str, headers: Mapping[str, str]) -> Any:
    """Return the answer to a request, with its body not yet read."""
    filesystem = _filesystem(os.getpid())
    session = await filesystem.set_session()
    own = filesystem.kwargs.get("headers", {})
    # Ranges are of the bytes as they are stored.
    sent = {**own, **headers, "Accept-Encoding": "identity"}
    return await session.get(yarl.URL(url), **{**filesystem.kwargs, "headers": sent})


@cache
def _filesystem(process: int) -> HTTPFileSystem:
    """Return fsspec's file system, with the settings of fsspec's configuration."""
    given = conf.get("https", {}) | conf.get("http", {})
    seconds = timeout()
    client = {
        # The proxies of the environment, and ~/.netrc.
        "trust_env": True,
        "timeout": aiohttp.ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds),
        "read_bufsize": CHUNK_BYTES,
        **given.get("client_kwargs", {}),
        "auto_decompress": False,
    }
    return HTTPFileSystem(**{**given, "client_kwargs": client, "skip_instance_cache": True})


def _check(path: str, answer: Any) -> None:
    """Raise an error for an answer that is none.

    Raises
    ------
    ReadWriteError
    PassingError
    """
    status = answer.status
    if status < 400:
        return
    if status in PASSING:
        raise PassingError(f"the server answered {_said(answer)}", _wait(answer.headers.get("Retry-After", "")))
    raise ReadWriteError(f"{path}: {FINAL.get(status) or f'cannot read: the server answered {_said(answer)}'}")


def _said(answer: Any) -> str:
    return f"{answer.status} {answer.reason or ''}".strip()


def _wait(text: str) -> float:
    """Return the seconds that a server asks to wait, as a number or as a date."""
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except ValueError:
        return 0.0


def _run(path: str, start: Callable[[], Awaitable[T]]) -> T:
    """Return what a coroutine returns that runs in fsspec's thread.

    Raises
    ------
    ReadWriteError
    PassingError
    """
    try:
        found: T = sync(_filesystem(os.getpid()).loop, start)
    except TimeoutError as error:
        raise PassingError(f"the server did not send anything for {timeout():g} s") from error
    except aiohttp.ClientConnectorError as error:
        raise _unreachable(path, error) from error
    except (aiohttp.InvalidURL, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise ReadWriteError(f"{path}: cannot read: this is not a valid URL") from None
    except aiohttp.TooManyRedirects as error:
        raise ReadWriteError(f"{path}: cannot read: the server sends from one address to another") from error
    except aiohttp.ClientError as error:
        # Its text may hold the address with its secrets.
        raise PassingError(f"the connection was lost ({type(error).__name__})") from error
    return found


def _unreachable(path: str, error: aiohttp.ClientConnectorError) -> ReadWriteError:
    cause = error.os_error
    if isinstance(cause, socket.gaierror):
        return ReadWriteError(f"{path}: cannot read: the server's name {error.host} is not known")
    if isinstance(cause, ssl.SSLError | ssl.CertificateError):
        reason = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or "no secure connection"
        return ReadWriteError(f"{path}: cannot read: the connection to {error.host} is not secure ({reason})")
    return ReadWriteError(f"{path}: cannot read: the server {error.host} cannot be reached ({cause.strerror or cause})")
