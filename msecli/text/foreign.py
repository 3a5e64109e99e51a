"""What a file is that is no delimited text, by how it begins: binary, HTML or JSON."""

from __future__ import annotations

import re

from msecli.errors import DataError

OTHER_BINARY = {
    b"PK\x03\x04": "a ZIP archive",
    b"FEA1": "a Feather file of version 1, which pyarrow.feather.read_table still reads",
    b"PARE": "an encrypted Parquet file",
    b"%PDF": "a PDF document",
}

TAR, TAR_AT = b"ustar", 257
"""What a tar archive holds behind the name of its first file, often in a file called .tar.gz."""
OLD_STREAM = re.compile(rb".{2}\0\0[\x0c\x10\x14\x18]\0\0\0", re.DOTALL)
"""How a stream of record batches begins that was written before Arrow 0.15: with a length, and an offset behind it."""
DUCKDB, DUCKDB_AT = b"DUCK", 8
"""What a DuckDB database holds at this byte."""
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
JSON_LINES = rb'(?:\xef\xbb\xbf)?\s*\{\s*(?:"|\}\s*(?:\n|\Z)|\Z)'
JSON_ARRAY = rb"(?:\xef\xbb\xbf)?\s*\[\s*(?:\{|\]\s*\Z|\Z)"
"""How records begin; the names of a table of text may begin with a bracket, too."""
HOW_TO_WRITE = "write records, as pandas does with df.to_json(path, orient='records', lines=True)"


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
        records = {"jsonl": JSON_LINES, "json": JSON_ARRAY}
        format = next((name for name, pattern in records.items() if re.match(pattern, head)), None)
        advice = HOW_TO_WRITE if format is None else f"use `input_format={format}`"
        raise DataError(f"{path}: this is {json}, not a table of text; {advice}")


def check_magic(path: str, head: bytes) -> None:
    """Refuse a binary file that no source reads, by its first bytes.

    Raises
    ------
    DataError
    """
    if head.startswith(DUCKDB, DUCKDB_AT):
        raise DataError(f"{path}: this is a DuckDB database; export the table: COPY name TO 'name.parquet'")
    for pattern, (writer, advice) in PICKLED.items():
        if re.match(pattern, head, re.DOTALL):
            raise DataError(
                f"{path}: {writer} wrote the file, whose Python objects are never loaded, because loading them can run "
                f"any program; save the values in another way: {advice}"
            )
    kind = next((kind for magic, kind in OTHER_BINARY.items() if head.startswith(magic)), None)
    if OLD_STREAM.match(head):
        kind = "an Arrow stream as they were before Arrow 0.15, which pyarrow.ipc.open_stream still reads"
    if head.startswith(TAR, TAR_AT):
        raise DataError(f"{path}: the file is a tar archive; extract what is in it: tar -xf FILE")
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
