"""Bare numbers for shell scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from msecli.errors import escaped
from msecli.outputs.base import ENTRY_KINDS, Document, Style, Values, entry_label, number_text, number_texts

POOLED, MACRO = "pooled", "macro"


def write_result(stream: BinaryIO, document: Document, style: Style) -> None:
    """Write the loss alone, or `label<TAB>value` lines where there are several values.

    Each entry is a line, with the metrics behind its loss; then come all rows pooled, and the mean of the entries.
    """
    if any(name in document for name in ENTRY_KINDS):
        stream.writelines(("\t".join(line) + "\n").encode() for line in _entry_lines(document))
        return
    texts = number_texts(document)
    if len(texts) == 1:
        stream.writelines(f"{text}\n".encode() for text in texts.values())
    else:
        stream.writelines(f"{name}\t{text}\n".encode() for name, text in texts.items())


def _entry_lines(document: Document) -> Iterator[list[str]]:
    for name, kind in ENTRY_KINDS.items():
        for entry in document.get(name, ()):
            label = ",".join("" if text is None else str(text) for text in entry_label(kind, entry).values())
            yield [_label(label), *number_texts(entry).values()]
    yield [POOLED, *number_texts(document).values()]
    yield [MACRO, *map(number_text, document.get("macro", {}).values())]


def _label(text: str) -> str:
    """Return a label that adds no fields or lines, and cannot be taken for one of the lines below the entries."""
    text = escaped(text)
    if text in {POOLED, MACRO}:
        return f'"{text}"'
    return f"\\{text}" if text.startswith('"') else text


def write_values(stream: BinaryIO, document: Document | None, values: Values, style: Style) -> None:
    """Write one value per line, in the order of the elements."""
    from msecli.outputs.delimited import write_columns

    write_columns(stream, (([], block.reshape(-1, 1)) for block in values.blocks()), ("value",), "\t", header=False)
