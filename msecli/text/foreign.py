"""What a file is that is no delimited text, by how it begins: compressed, binary, HTML or JSON."""

from __future__ import annotations

import re

from msecli.errors import DataError
from msecli.places.file import STDIN

COMPRESSED = {
    b"\x1f\x8b": ("gzip", "gzip -dc", (".gz",)),
    b"\x28\xb5\x2f\xfd": ("zstd", "zstd -dc", (".zst",)),
    b"BZh": ("bzip2", "bzip2 -dc", (".bz2",)),
    b"\xfd7zXZ\x00": ("xz", "xz -dc", (".xz",)),
}
"""The name, the program that decompresses, and the suffixes of files that it opens by name."""

OTHER_BINARY = {
    b"PK\x03\x04": "a ZIP archive or spreadsheet",
    b"ARROW1": "an Arrow file",
    b"PARE": "an encrypted Parquet file",
    b"%PDF": "a PDF document",
}

TORCH = "numpy.save(FILE, tensor.numpy()) or safetensors.torch.save_file({'x': tensor}, FILE)"
PICKLED = {
    rb"PK\x03\x04.{26}[^\0-\x1f]*?/(data\.pkl|\.format_version|\.data/)": ("torch.save", TORCH),
    rb"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19": ("torch.save", TORCH),
    rb"\x80[\x02-\x05]|x[\x01\x9c\xda]": ("pickle or joblib", "numpy.save(FILE, array) or frame.to_parquet(FILE)"),
}
"""How files that hold pickled Python objects begin, what wrote them, and how to write the values in another way."""

LFS_POINTER = b"version https://git-lfs.github.com/"
"""How the small text begins that stands for a file kept in Git LFS."""

MARKED_UP = re.compile(rb"\s*<(!doctype|html|head|body|table|\?xml|!--)", re.IGNORECASE)
JSON_START = re.compile(rb"[\[{]")
JSON_GOES_ON = re.compile(rb'(\{\s*("|\Z)|\[\s*(["\[{]|\Z))')


def check_kind(path: str, head: bytes) -> None:
    """Refuse a file of a kind that no source reads.

    Raises
    ------
    DataError
    """
    check_magic(path, head)
    if head.startswith(LFS_POINTER):
        raise DataError(f"{path}: this is a Git LFS pointer, not the file itself; run: git lfs pull")
    text = head.removeprefix(b"\xef\xbb\xbf")
    if MARKED_UP.match(text):
        markup = "XML" if text.lstrip().lower().startswith(b"<?xml") else "an HTML page"
        raise DataError(f"{path}: this is {markup}, not a table of numbers; is it the error page of a download?")
    json = _json_kind(text)
    if json is not None:
        raise DataError(f"{path}: this is {json}, which msecli does not read; convert it to CSV or Parquet")


def check_magic(path: str, head: bytes) -> None:
    """Refuse a compressed file, or another binary one that no source reads, by its first bytes.

    Raises
    ------
    DataError
    """
    for magic, (name, command, suffixes) in COMPRESSED.items():
        if head.startswith(magic):
            # The programs open only files with a suffix of theirs.
            typed = command if path == STDIN or path.lower().endswith(suffixes) else f"{command} <"
            # What comes out of a pipe has no suffix.
            more = " `input_format=tsv`" if path.lower().removesuffix(suffixes[0]).endswith((".tsv", ".tab")) else ""
            raise DataError(f"{path}: the file is compressed with {name}; `|{typed}={path}`{more}")
    for pattern, (writer, advice) in PICKLED.items():
        if re.match(pattern, head, re.DOTALL):
            raise DataError(
                f"{path}: {writer} wrote the file, whose Python objects are never loaded, because loading them can run "
                f"any program; save the values in another way: {advice}"
            )
    kind = next((kind for magic, kind in OTHER_BINARY.items() if head.startswith(magic)), None)
    if kind is not None:
        raise DataError(f"{path}: the file is {kind}; export it as CSV, Parquet or NPY")


def _json_kind(text: bytes) -> str | None:
    """Return "JSON" or "JSON Lines"; None if a text is neither. A header may begin with a bracket, too."""
    first, line_end, rest = text.strip().partition(b"\n")
    if not JSON_START.match(first):
        return None
    import json

    try:
        json.loads(first)
    except ValueError:
        # One line may go on beyond the bytes looked at.
        return "JSON" if JSON_GOES_ON.match(first) or not line_end else None
    return "JSON Lines" if rest.strip() else "JSON"
