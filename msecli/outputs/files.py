"""Atomic output files: all of them appear, complete, or none."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import stat
from collections.abc import Callable, Container, Iterable, Iterator
from types import TracebackType
from typing import BinaryIO, Self, cast

from msecli.errors import MsecliError, ReadWriteError, UsageError, redacted
from msecli.places import is_url, local_path, split_inner, store_of, would_name
from msecli.places.base import Store

NAME_KEPT = 40
"""Characters of an output's name that its temporary file keeps: at most 160 of the 255 bytes a name may have."""

SUFFIX = ".tmp"
LINE_END = b"\n"
OVERWRITE = "use --overwrite to replace it"


def check_outputs(
    outputs: Iterable[tuple[str, str]], inputs: Iterable[str], *, overwrite: bool, appended: Container[str] = ()
) -> None:
    """Refuse outputs that would destroy an input, another output, or an existing file.

    Parameters
    ----------
    outputs : iterable of (option, path)
    inputs : iterable of path
    overwrite : bool
        Whether existing files may be replaced.
    appended : container of path
        The outputs that existing files may be continued by.

    Raises
    ------
    UsageError
    ReadWriteError
        If the folder of an output is missing or read-only.
    """
    paths = tuple(inputs)
    # Of an array in a file, the file.
    files = {path: split_inner(path)[0] for path in paths}
    taken = {
        _identity(file): f"the input {redacted(path)}"
        for path, file in files.items()
        if is_url(local_path(file)) or os.path.exists(local_path(file))
    }
    for option, path in outputs:
        store = store_of(path)
        if store is not None:
            _check_store(option, store, taken, overwrite=overwrite, appended=path in appended)
            continue
        local = local_path(path)
        identity = _identity(local)
        if identity in taken and _is_replaceable(local):
            raise UsageError(f"{option} {path}: this is also {taken[identity]}; choose another name")
        among = next((other for other in paths if would_name(other, local)), None)
        if among is not None and _is_replaceable(local):
            raise UsageError(
                f"{option} {path}: this would be one of the files of the input {among}; choose another folder"
            )
        if os.path.isfile(local) and not overwrite and path not in appended:
            raise UsageError(f"{option} {path}: the file exists; {OVERWRITE}")
        _check_folder(local)
        taken[identity] = f"the file of {option}"


def _check_store(option: str, store: Store, taken: dict[object, str], *, overwrite: bool, appended: bool) -> None:
    """Refuse an output in a place that is no folder of this machine, as `check_outputs` does."""
    if store.identity in taken:
        raise UsageError(f"{option} {store.path}: this is also {taken[store.identity]}; choose another name")
    if appended:
        raise UsageError(f"{option} {store.path}: nothing can be added to a file there; write a file of this machine")
    if store.exists() and not overwrite:
        raise UsageError(f"{option} {store.path}: the file exists; {OVERWRITE}")
    taken[store.identity] = f"the file of {option}"


def _check_folder(path: str) -> None:
    folder = os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path):
        raise ReadWriteError(f"{path}: cannot write: this is a folder")
    if not os.path.isdir(folder):
        raise ReadWriteError(f"{path}: cannot write: there is no folder {folder}")
    if _is_replaceable(path) and not os.access(folder, os.W_OK):
        raise ReadWriteError(f"{path}: cannot write: the folder {folder} is read-only")


def _identity(path: str) -> object:
    path = local_path(path)
    if is_url(path):
        with contextlib.suppress(MsecliError):
            store = store_of(path)
            return path if store is None else store.identity
        return path
    try:
        status = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino


def _is_replaceable(path: str) -> bool:
    """Tell whether an output is a file to replace, not a device or a pipe to write to."""
    return not os.path.exists(path) or os.path.isfile(path) or os.path.isdir(path)


class Staging:
    """Writes temporary files beside the final ones, and renames all of them at the end of the block.

    If the block fails, no file is left behind and existing files are unchanged. A killed process leaves temporary
    files; the next process that writes the same output removes them.

    Parameters
    ----------
    overwrite : bool
        Whether files may be replaced, including files that another process has created meanwhile.
    """

    def __init__(self, *, overwrite: bool = False) -> None:
        self._overwrite = overwrite
        self._staged: list[tuple[str, str]] = []
        self._stored: list[tuple[str, Store]] = []
        self._appended: list[tuple[str, str, bytes]] = []
        self._temporary = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._temporary:
            if kind is None:
                self._name_all()

    def _name_all(self) -> None:
        with contextlib.ExitStack() as locks, contextlib.ExitStack() as undo:
            # In one order for all processes, each of which keeps its locks until it has named its other files.
            for final, path, lines in sorted(self._appended):
                with writing(path):
                    _append(final, lines, locks, undo)
            for temporary, final in self._staged:
                with writing(final):
                    if not self._overwrite:
                        _create(temporary, final)
                        undo.callback(_attempt, os.unlink, final)
                    elif len(self._staged) + len(self._stored) == 1:
                        os.replace(temporary, final)
                    else:
                        old, replaced = _beside(final), os.path.exists(final)
                        self._temporary.callback(_attempt, os.unlink, old)
                        kept = _attempt(os.link, final, old)
                        os.replace(temporary, final)
                        if kept:
                            undo.callback(_attempt, os.replace, old, final)
                        elif not replaced:
                            undo.callback(_attempt, os.unlink, final)
            self._store_all(undo)
            undo.pop_all()

    def _store_all(self, undo: contextlib.ExitStack) -> None:
        """Copy the files that belong elsewhere there, after all others, which can be taken back."""
        for temporary, store in self._stored:
            replaced = store.exists()
            if replaced and not self._overwrite:
                raise UsageError(f"{store.path}: the file exists; {OVERWRITE}")
            store.put(temporary)
            if not replaced:
                undo.callback(_attempt, store.remove)

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """Open a file for writing; it gets its final name when the staging succeeds."""
        store = store_of(path)
        if store is not None:
            from tempfile import NamedTemporaryFile  # seldom needed

            with writing(store.path):
                copy = self._temporary.enter_context(NamedTemporaryFile())  # noqa: SIM115 - it is closed in the end
                yield cast("BinaryIO", copy)
                copy.flush()
            self._stored.append((copy.name, store))
            return
        path = local_path(path)
        if not _is_replaceable(path):
            with writing(path), open(path, "wb") as stream:
                yield stream
            return
        final = os.path.realpath(path)
        with writing(path):
            _remove_leftovers(final)
            temporary, lock = self._make(final)
            with os.fdopen(os.dup(lock), "wb") as stream:
                os.fchmod(lock, _mode(final))
                yield stream
            self._staged.append((temporary, final))

    @contextlib.contextmanager
    def append(self, path: str) -> Iterator[BinaryIO]:
        """Open a stream of lines that are added to a file, all at once, when the staging succeeds."""
        if not _is_replaceable(path):
            with self.open(path) as stream:
                yield stream
            return
        with io.BytesIO() as lines:
            yield lines
            self._appended.append((os.path.realpath(path), path, lines.getvalue()))

    def _make(self, final: str) -> tuple[str, int]:
        """Create a file beside the final one; return its path, and a descriptor locked while its writer is alive."""
        while True:
            temporary = _beside(final)
            # Registered before it is created, so that a signal in between cannot leave it behind.
            self._temporary.callback(_attempt, os.unlink, temporary)
            lock = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._temporary.callback(os.close, lock)
            _attempt(fcntl.flock, lock, fcntl.LOCK_EX)
            # Before the lock, another process may have removed it as a leftover.
            if os.path.exists(temporary):
                return temporary, lock


def _append(path: str, lines: bytes, locks: contextlib.ExitStack, undo: contextlib.ExitStack) -> None:
    """Add lines to a file that others may add to at the same time; where its last line was cut off, below that one."""
    while True:
        created = not os.path.exists(path)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        locks.callback(os.close, file)
        _attempt(fcntl.flock, file, fcntl.LOCK_EX)
        # Before the lock, another process may have removed what it had created.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), os.stat(path)):
                break
    size = os.fstat(file).st_size
    if created and not size:
        undo.callback(_attempt, os.unlink, path)
    undo.callback(_attempt, os.ftruncate, file, size)
    if size and os.pread(file, 1, size - 1) != LINE_END:
        lines = LINE_END + lines
    while lines:
        lines = lines[os.write(file, lines) :]


def write_file(path: str, content: bytes) -> None:
    """Write a file whole or not at all; an existing one is replaced.

    Raises
    ------
    ReadWriteError
    """
    check_outputs([("`save_state`", path)], [], overwrite=True)
    with Staging(overwrite=True) as staging, staging.open(path) as stream:
        stream.write(content)


def _create(temporary: str, final: str) -> None:
    """Give a file its final name, unless the name is taken."""
    try:
        try:
            os.link(temporary, final)
        except FileExistsError:
            raise
        except OSError:
            # Without hard links, reserve the name first.
            os.close(os.open(final, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            if not _attempt(os.replace, temporary, final):
                os.unlink(final)
                raise
    except FileExistsError as error:
        raise UsageError(f"{final}: the file exists; {OVERWRITE}") from error


def _attempt(call: Callable[..., object], *arguments: object) -> bool:
    """Make a system call, and tell whether it succeeded."""
    try:
        call(*arguments)
    except OSError:
        return False
    return True


def _beside(path: str) -> str:
    """Return a new name in the same folder, within the limit for names."""
    return f"{_stem(path)}{os.urandom(4).hex()}{SUFFIX}"


def _stem(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name[:NAME_KEPT]}.msecli-")


def _remove_leftovers(final: str) -> None:
    """Remove the temporary files of this output whose writers have died: they are no longer locked."""
    folder, stem = os.path.split(_stem(final))
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(stem) and name.endswith(SUFFIX):
                _remove_if_unlocked(os.path.join(folder, name))


def _remove_if_unlocked(path: str) -> None:
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        stack.callback(os.close, file)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)


def _mode(path: str) -> int:
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


@contextlib.contextmanager
def writing(path: str) -> Iterator[None]:
    """Turn an error of the system into one that says which file cannot be written, and why.

    Raises
    ------
    ReadWriteError
    """
    try:
        yield
    except ReadWriteError:
        raise
    except OSError as error:
        raise ReadWriteError(f"{path}: cannot write: {error.strerror or error}") from error
