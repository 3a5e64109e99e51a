"""Object stores that pyarrow has a file system for: Amazon S3 and what speaks its protocol, Google Cloud, and Azure."""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from threading import Lock
from typing import Any, Self

from msecli.errors import ReadWriteError, UsageError, redacted
from msecli.places.file import changed
from msecli.places.remote import TRIES, PassingError, RemoteFile, shortened, timeout
from msecli.tuples import NamedTuple

REASONS = (
    (r"ACCESS_DENIED|PERMISSION_DENIED|AuthorizationFailure|AuthorizationPermission|\b403\b", "access is denied"),
    (
        r"INVALID_ACCESS_KEY|SIGNATURE|UNAUTHENTICATED|E(XPIRED|xpired)|CLIENT_TOKEN|Authentication|\b401\b",
        "the credentials are not accepted",
    ),
    (r"NO_SUCH_BUCKET|ContainerNotFound|bucket does not exist", "there is no such bucket"),
    (r"\b30[1278]\b|MOVED_PERMANENTLY|PermanentRedirect", "the bucket is in another region; set AWS_REGION"),
    (r"[Rr]esolv", "the server's name is not known"),
    (r"[Tt]imed? ?out|curlCode: 28", "the server did not answer in time"),
    (
        r"curlCode: (7|35|51|52|56|60)|[Cc]ould not connect|Failed to connect|UNAVAILABLE",
        "the server cannot be reached",
    ),
    (r"SLOW_DOWN|THROTTLING|TooManyRequests|\b429\b|\b50[0234]\b|\b5\d\d\b", "the server is overloaded or has a fault"),
)
"""What messages of the libraries beneath pyarrow mean; the first one that is found."""

FOLDER_MARK = "_$folder$"
"""How the name ends of an object that some programs leave in place of a folder."""

UNREAD_ANSWER = "Failed to flush response stream"
"""Where an error's text is longer than the bytes that were asked for, the library does not tell which error it is."""

REFUSED = frozenset({REASONS[0][1], REASONS[1][1]})


class Kind(NamedTuple):
    """What differs between the stores.

    Parameters
    ----------
    connect : callable
        From a bucket, and the host that the URL names, to pyarrow's file system.
    credentials : str
        Where they come from, for messages.
    hosted : bool
        Whether "bucket@host" is how its URLs begin.
    """

    connect: Callable[[str, str], Any]
    credentials: str
    hosted: bool = False


def _s3(bucket: str, host: str) -> Any:
    from pyarrow import fs

    # pyarrow itself looks at neither.
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region and not endpoint:
        with suppress(OSError):
            region = fs.resolve_s3_region(bucket)
    seconds = timeout()
    return fs.S3FileSystem(
        endpoint_override=endpoint,
        region=region,
        anonymous=os.environ.get("AWS_NO_SIGN_REQUEST", "").lower() in {"1", "yes", "true"},
        connect_timeout=seconds,
        request_timeout=seconds,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=TRIES),
    )


def _gs(bucket: str, host: str) -> Any:
    from pyarrow import fs

    emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")
    scheme, _, endpoint = emulator.rpartition("://")
    return fs.GcsFileSystem(
        anonymous=bool(emulator),
        scheme=scheme or ("http" if emulator else None),
        endpoint_override=endpoint or None,
        retry_time_limit=timedelta(seconds=timeout()),
    )


def _abfs(container: str, host: str) -> Any:
    from pyarrow import fs

    text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    settings = dict(each.split("=", 1) for each in text.split(";") if "=" in each)
    named = os.environ.get("AZURE_STORAGE_ACCOUNT") or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
    account = host.partition(".")[0] or named or settings.get("AccountName")
    if not account:
        raise ReadWriteError(
            f"abfs://{container}: the storage account is not known; set AZURE_STORAGE_ACCOUNT, "
            "or use abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/FILE"
        )
    key = os.environ.get("AZURE_STORAGE_KEY") or os.environ.get("AZURE_STORAGE_ACCOUNT_KEY")
    key = key or settings.get("AccountKey")
    if key:
        _check_key(key)
    token = os.environ.get("AZURE_STORAGE_SAS_TOKEN") or settings.get("SharedAccessSignature")
    return fs.AzureFileSystem(account, **({"account_key": key} if key else {"sas_token": token} if token else {}))


S3 = Kind(
    _s3, "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; AWS_NO_SIGN_REQUEST=1 is for public buckets"
)
GS = Kind(_gs, "GOOGLE_APPLICATION_CREDENTIALS, or run: gcloud auth application-default login")
ABFS = Kind(_abfs, "AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY, or run: az login", hosted=True)
KINDS = {"s3": S3, "s3a": S3, "gs": GS, "gcs": GS, "abfs": ABFS, "abfss": ABFS}


def _check_key(key: str) -> None:
    """Refuse a key that is none: on such a one pyarrow ends the process."""
    from base64 import b64decode

    try:
        b64decode(key, validate=True)
    except ValueError:
        raise ReadWriteError("the key of the storage account is not in Base64; check AZURE_STORAGE_KEY") from None


class Location(NamedTuple):
    """A URL in its parts."""

    scheme: str
    bucket: str
    host: str
    key: str
    shown: str

    @classmethod
    def of(cls, url: str) -> Self:
        """Return the parts of a URL.

        Raises
        ------
        UsageError
            If it names no bucket, or holds credentials.
        """
        scheme, _, rest = url.partition("://")
        bucket, _, key = rest.partition("/")
        bucket, _, host = bucket.partition("@")
        kind, shown = KINDS[scheme.lower()], redacted(url)
        if host and not kind.hosted:
            raise UsageError(f"{shown}: credentials do not belong in a path; set {kind.credentials}")
        if not bucket:
            raise UsageError(f"{shown}: there is no bucket; use {scheme}://BUCKET/FILE")
        return cls(scheme.lower(), bucket, host, key, shown)

    @property
    def inside(self) -> str:
        """The path in pyarrow's file system."""
        return f"{self.bucket}/{self.key}" if self.key else self.bucket

    def connect(self) -> Any:
        """Return pyarrow's file system, a shared one.

        Raises
        ------
        ReadWriteError
            If the settings of the environment do not suffice, or pyarrow was built without it.
        """
        try:
            return _connected(os.getpid(), self.scheme, self.bucket, self.host)
        except ReadWriteError:
            raise
        except (ImportError, OSError, ValueError) as error:
            raise ReadWriteError(f"{self.shown}: cannot connect: {shortened(error)}") from error


@cache
def _connected(process: int, scheme: str, bucket: str, host: str) -> Any:
    return KINDS[scheme].connect(bucket, host)


@contextmanager
def _explained(location: Location, doing: str = "read") -> Iterator[None]:
    try:
        yield
    except ReadWriteError:
        raise
    except FileNotFoundError as error:
        raise ReadWriteError(f"{location.shown}: no such file") from error
    except (OSError, ValueError) as error:
        text = str(error)
        reason = next((meaning for pattern, meaning in REASONS if re.search(pattern, text)), shortened(error))
        advice = f"; set {KINDS[location.scheme].credentials}" if reason in REFUSED else ""
        raise ReadWriteError(f"{location.shown}: cannot {doing}: {reason}{advice}") from error


class ArrowObject:
    """A file in a store. See `msecli.places.remote.RemoteObject`.

    Parameters
    ----------
    location : Location
    file : pyarrow.NativeFile
    """

    def __init__(self, location: Location, file: Any) -> None:
        self._location = location
        self.size, self.version = _state(file)
        self._connect(file)

    def _connect(self, file: Any) -> None:
        self._file = file
        self._lock = Lock()

    def __getstate__(self) -> tuple[Location, int, str]:
        return self._location, self.size, self.version

    def __setstate__(self, state: tuple[Location, int, str]) -> None:
        self._location, self.size, self.version = state
        self._connect(None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArrowObject) and self.__getstate__() == other.__getstate__()

    def __hash__(self) -> int:
        return hash(self.__getstate__())

    def fetch(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` up to, not including, `stop`."""
        with self._lock:
            self._file = self._file or self._same()
        try:
            with _explained(self._location):
                content: bytes = self._file.read_at(stop - start, start)
        except ReadWriteError as error:
            if UNREAD_ANSWER in str(error.__cause__):
                raise PassingError("the server answered with an error") from error
            raise
        return content

    def verify(self) -> None:
        """Raise `DataError` if the file has changed."""
        self._same()

    def _same(self) -> Any:
        """Return the file opened again, which must not have changed."""
        file = _opened(self._location)
        if _state(file) != (self.size, self.version):
            raise changed(self._location.shown)
        return file


def _opened(location: Location) -> Any:
    with _explained(location):
        return location.connect().open_input_file(location.inside)


def _state(file: Any) -> tuple[int, str]:
    """Return the size of a file, and what tells one content from another."""
    known = {name.lower(): value.decode(errors="replace") for name, value in (file.metadata() or {}).items()}
    return file.size(), known.get("etag") or known.get("last-modified") or ""


_found: OrderedDict[str, Any] = OrderedDict()
"""The last file that was looked for as a folder, opened by that; a request less when it is read."""


def open_file(path: str, word: str, shown: str) -> RemoteFile:
    """Return a file in a store."""
    location = Location.of(path)
    file = _found.pop(path, None) or _opened(location)
    return RemoteFile(shown, word, ArrowObject(location, file))


def files_below(folder: str, enter: Callable[[str], bool]) -> list[str] | None:
    """Return the files below a folder. See `msecli.places.listing.Lister`."""
    from pyarrow import fs

    location = Location.of(folder)
    location = location._replace(key=location.key.rstrip("/"))
    if location.key and not folder.endswith("/"):
        _found.clear()
        try:
            _found[folder] = _opened(location)
        except ReadWriteError as error:
            # Azure has folders, which cannot be opened; in other stores nothing has this very name.
            if not isinstance(error.__cause__, FileNotFoundError) and "regular file" not in str(error.__cause__):
                raise
        else:
            return None
    with _explained(location, "list"):
        found = location.connect().get_file_info(fs.FileSelector(location.inside, recursive=True, allow_not_found=True))
    above = len(location.inside) + 1
    names = [each.path[above:] for each in found if each.type == fs.FileType.File]
    return [name for name in names if not name.endswith(("/", FOLDER_MARK))] if found else None


class ArrowStore:
    """Where an output goes in a store. See `msecli.places.base.Store`."""

    def __init__(self, path: str) -> None:
        self._location = Location.of(path)
        self.path = self._location.shown
        self.identity = "/".join(self._location[:4])

    def exists(self) -> bool:
        """Tell whether there is a file.

        Raises
        ------
        ReadWriteError
            If there cannot be one.
        """
        from pyarrow import fs

        location = self._location
        if not location.key or location.key.endswith("/"):
            raise ReadWriteError(f"{self.path}: cannot write: this is a folder")
        with _explained(location, "write"):
            bucket, file = location.connect().get_file_info([location.bucket, location.inside])
        if bucket.type == fs.FileType.NotFound:
            raise ReadWriteError(f"{self.path}: cannot write: there is no bucket {location.bucket}")
        return bool(file.type == fs.FileType.File)

    def put(self, content: str) -> None:
        """Write a file with the content of a local one, whole or not at all, and replace one that is there."""
        import pyarrow as pa

        with _explained(self._location, "write"):
            # One buffer, because a stream that is given up in between is closed, and then holds what came so far.
            buffer = pa.memory_map(content).read_buffer() if os.path.getsize(content) else pa.py_buffer(b"")
            with self._location.connect().open_output_stream(self._location.inside) as stream:
                stream.write(buffer)

    def remove(self) -> None:
        """Remove the file."""
        with _explained(self._location, "write"):
            self._location.connect().delete_file(self._location.inside)
