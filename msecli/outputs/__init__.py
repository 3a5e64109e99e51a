"""The table of output formats, for results and for values."""

from __future__ import annotations

import os

from msecli.errors import UsageError, meant
from msecli.outputs.base import Renderer, Style
from msecli.places import name_in

RENDERERS: dict[str, Renderer] = {
    renderer.name: renderer
    for renderer in (
        Renderer("table", "a table for people", None, "table", "write_result", "TableWriter", whole=True, rounded=True),
        Renderer("plain", "bare numbers", ".txt", "plain", "write_result", "PlainWriter"),
        Renderer("json", "one versioned document", ".json", "json", "write_result", "JsonWriter", whole=True),
        Renderer("jsonl", "the same on one line", ".jsonl", "json", "write_line", "LineWriter", whole=True, lines=True),
        Renderer("csv", "comma-separated text", ".csv", "delimited", "write_csv", "csv_writer"),
        Renderer("tsv", "tab-separated text", ".tsv", "delimited", "write_tsv", "tsv_writer"),
        Renderer(
            "markdown",
            "a Markdown table",
            ".md",
            "markdown",
            "write_result",
            "MarkdownWriter",
            whole=True,
            rounded=True,
        ),
        Renderer("npy", "a NumPy array", ".npy", "npy", "write_result", "NpyWriter", binary=True),
        Renderer("parquet", "a Parquet file", ".parquet", "parquet", "write_result", "ParquetWriter", binary=True),
        *(
            Renderer(name, meaning, None, name, "write_result", None, whole=True, beside=name == "github")
            for name, meaning in (
                ("junit", "JUnit XML for CI servers: a test for each score and gate"),
                ("dvc", "metrics for DVC"),
                ("openmetrics", "metrics for Prometheus"),
                ("github", "annotations of a GitHub workflow"),
            )
        ),
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
    renderer = _by_suffix(path)
    if renderer is None:
        raise UsageError(_unknown(path, option))
    return renderer


def output_named(text: str, option: str) -> tuple[str | None, Renderer]:
    """Return the path and the format of an output file given as `FORMAT=FILE` or as `FILE` with a known suffix.

    The path is None for standard output.

    Raises
    ------
    UsageError
        For an unknown suffix, and for no file.
    """
    name, equals, path = text.partition("=")
    format = RENDERERS.get(name.lower()) if equals else None
    path = text if format is None else path
    if format is not None and format.beside and path == "-":
        return None, format
    if path in ("", "-"):
        raise UsageError(f"{option} {text}: {path!r} is no file; for standard output use --format")
    format = format or _by_suffix(path)
    if format is None:
        raise UsageError(_unknown(path, option, f", or FORMAT=FILE with one of {', '.join(RENDERERS)}"))
    return path, format


def _by_suffix(path: str) -> Renderer | None:
    suffix = os.path.splitext(name_in(path))[1].lower()
    return next((renderer for renderer in RENDERERS.values() if renderer.suffix == suffix), None)


def _unknown(path: str, option: str, otherwise: str = "") -> str:
    known = [renderer.suffix for renderer in RENDERERS.values() if renderer.suffix]
    suffix = os.path.splitext(name_in(path))[1]
    hint = meant(suffix, known, ".")
    return (
        f"{option} {path}: the suffix {suffix!r} names no output format; use one of {', '.join(known)}{otherwise}{hint}"
    )


__all__ = ["RENDERERS", "TEXT_FORMATS", "Renderer", "Style", "output_named", "renderer_for"]
