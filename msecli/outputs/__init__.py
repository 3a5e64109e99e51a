"""Results to text, values to files: the table of output formats."""

from __future__ import annotations

import os

from msecli.errors import UsageError
from msecli.outputs import binary, delimited, json, markdown, plain, table
from msecli.outputs.base import Document, Renderer, Style, Values

RENDERERS: dict[str, Renderer] = {
    renderer.name: renderer
    for renderer in (
        Renderer("table", "a table for people", None, table.write_result, table.write_values, whole=True),
        Renderer("plain", "bare numbers", ".txt", plain.write_result, plain.write_values),
        Renderer("json", "one versioned document", ".json", json.write_result, json.write_values, whole=True),
        Renderer("csv", "comma-separated text", ".csv", delimited.result_writer(","), delimited.values_writer(",")),
        Renderer("tsv", "tab-separated text", ".tsv", delimited.result_writer("\t"), delimited.values_writer("\t")),
        Renderer("markdown", "a Markdown table", ".md", markdown.write_result, markdown.write_values, whole=True),
        Renderer("npy", "a NumPy array", ".npy", binary.write_npy_result, binary.write_npy_values, binary=True),
        Renderer(
            "parquet",
            "a Parquet file",
            ".parquet",
            binary.write_parquet_result,
            binary.write_parquet_values,
            binary=True,
        ),
    )
}

TEXT_FORMATS = tuple(name for name, renderer in RENDERERS.items() if not renderer.binary)


def renderer_for(path: str, option: str) -> Renderer:
    """Return the format that the suffix of an output file asks for.

    Raises
    ------
    UsageError
        For an unknown suffix.
    """
    suffix = os.path.splitext(path)[1].lower()
    for renderer in RENDERERS.values():
        if renderer.suffix == suffix:
            return renderer
    known = ", ".join(renderer.suffix for renderer in RENDERERS.values() if renderer.suffix)
    raise UsageError(f"{option} {path}: the suffix {suffix!r} names no output format; use one of {known}")


__all__ = ["RENDERERS", "TEXT_FORMATS", "Document", "Renderer", "Style", "Values", "renderer_for"]
