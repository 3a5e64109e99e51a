"""The table of output formats, for results and for values."""

from __future__ import annotations

import os

from msecli.errors import UsageError
from msecli.outputs import delimited, json, markdown, npy, parquet, plain, table
from msecli.outputs.base import Renderer, Style

RENDERERS: dict[str, Renderer] = {
    renderer.name: renderer
    for renderer in (
        Renderer("table", "a table for people", None, table.write_result, table.TableWriter, whole=True, rounded=True),
        Renderer("plain", "bare numbers", ".txt", plain.write_result, plain.PlainWriter),
        Renderer("json", "one versioned document", ".json", json.write_result, json.JsonWriter, whole=True),
        Renderer("csv", "comma-separated text", ".csv", delimited.result_writer(","), delimited.values_writer(",")),
        Renderer("tsv", "tab-separated text", ".tsv", delimited.result_writer("\t"), delimited.values_writer("\t")),
        Renderer(
            "markdown",
            "a Markdown table",
            ".md",
            markdown.write_result,
            markdown.MarkdownWriter,
            whole=True,
            rounded=True,
        ),
        Renderer("npy", "a NumPy array", ".npy", npy.write_result, npy.NpyWriter, binary=True),
        Renderer("parquet", "a Parquet file", ".parquet", parquet.write_result, parquet.ParquetWriter, binary=True),
    )
}

TEXT_FORMATS = tuple(name for name, renderer in RENDERERS.items() if not renderer.binary)


def renderer_for(path: str, option: str) -> Renderer:
    """Return the format of an output file, by its suffix.

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


__all__ = ["RENDERERS", "TEXT_FORMATS", "Renderer", "Style", "renderer_for"]
