"""Random delimited text has the numbers that a plain reader finds in it, or is refused at the first line that is bad.

The expected losses are those of the numbers that `text_reference` reads, summed by `fractions.Fraction`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

import msecli
from msecli.errors import DataError
from tests.fuzz.cases import Fuzz, Mismatch, compare
from tests.fuzz.exact import quotient, rounded, total
from tests.fuzz.sizes import reading_in
from tests.fuzz.text import TextCase, Way, text_case
from tests.fuzz.text_reference import BadLinesError, Table, read, records

OTHER_DIALECT = "no column of numbers found"
"""What is said of a file whose rows are read in another dialect, without a line."""
PLACE = re.compile(r"(\w+\.csv), line (\d+): ")


@pytest.mark.slow
def test_text_is_read_as_a_plain_reader_does_or_refused_at_its_first_bad_line(fuzz: Fuzz, tmp_path: Path) -> None:
    fuzz.run(lambda random: check(text_case(random), tmp_path), lambda random: described(text_case(random)))


def described(case: TextCase) -> str:
    files = "\n".join(f"  {name}: {content!r}" for name, content in case.files.items())
    return f"{files}\n  {case.columns}, {case.way}\n  {dict(case.sizes)}, {case.jobs} jobs"


def check(case: TextCase, folder: Path) -> None:
    for name, content in case.files.items():
        (folder / name).write_bytes(content)
    found = scored(case, folder)
    tables, bad = {}, dict[str, BadLinesError]()
    for file in case.files:
        wanted = [name for role, (place, name) in case.columns.items() if place == file and role in "pt"]
        labels = [name for role, (place, name) in case.columns.items() if place == file and role == "g"]
        try:
            tables[file] = read(case.files[file], case.way, wanted, labels)
        except BadLinesError as error:
            bad[file] = error
    if bad:
        check_refused(found, bad, [file for file, table in tables.items() if not table.rows])
    else:
        check_accepted(found, case, tables)


def scored(case: TextCase, folder: Path) -> msecli.Result | str:
    """Return what msecli makes of the files, or the message with which it refuses them."""
    paths = [folder / name for name in case.files]
    (_, prediction), (_, target) = case.columns["p"], case.columns["t"]
    by = case.columns["g"][1] if "g" in case.columns else ()
    with reading_in(case.sizes):
        try:
            return msecli.score(
                *paths, pred=prediction, target=target, by=by, nan_target="omit", nan_pred="omit",
                reduction="mean" if by else "none", metrics=("bias", "sse"), jobs=case.jobs,
                reading=msecli.Reading(**case.way._asdict()),
            )  # fmt: skip
        except DataError as error:
            return str(error)


def check_refused(found: msecli.Result | str, bad: dict[str, BadLinesError], empty: list[str]) -> None:
    reasons = "; ".join(f"{file}, {error}" for file, error in bad.items())
    first = next(iter(bad.values()))
    if not isinstance(found, str):
        raise Mismatch(f"accepted, though {first.reason}", reasons)
    place = PLACE.search(found)
    if OTHER_DIALECT in found:
        return
    if place is None:
        if not any(f"{file}: " in found for file in empty):
            raise Mismatch(f"refused without a line: {found}", reasons)
        return
    file, line = place[1], int(place[2])
    error = bad.get(file, first)
    if file not in bad or not error.names(line):
        later = file in bad and any(other.names(line) for other in error.later)
        where = "a later line that is bad" if later else "a line that is not bad"
        raise Mismatch(f"refused for {where}, though {error.reason}", f"{reasons}; found: {found}")


def check_accepted(found: msecli.Result | str, case: TextCase, tables: dict[str, Table]) -> None:
    sides = [tables[file].numbers[name] for file, name in (case.columns["p"], case.columns["t"])]
    prediction, target = (np.array(side, dtype=np.float64) for side in sides)
    missing = [np.isnan(side) for side in (prediction, target)]
    if len(prediction) != len(target) or (missing[0] | missing[1]).all():
        if not isinstance(found, str):
            raise Mismatch("accepted, though there is nothing to score", found)
        return
    if isinstance(found, str):
        raise Mismatch(f"refused: {found}", found)
    with np.errstate(all="ignore"):
        residual = prediction - target
        losses = residual * residual
    used = ~np.isnan(prediction) & ~np.isnan(target)
    count, some = len(prediction), int(used.sum())
    compare(
        {"rows": found.rows._asdict(), "elements": found.elements._asdict()} | dict(found.metrics),
        {
            "rows": {"prediction": count, "target": count, "used": some},
            "elements": {"used": some, "nan_prediction": int(missing[0].sum()), "nan_target": int(missing[1].sum())},
            "bias": quotient(total(residual[used]), some),
            "sse": rounded(total(losses[used])),
        },
    )
    if "g" in case.columns:
        file, name = case.columns["g"]
        compare_groups(found, tables[file].labels[name], losses, used)
    elif found.values is None or not np.array_equal(found.values, np.where(used, losses, np.nan), equal_nan=True):
        raise Mismatch("other losses", f"expected {losses}, found {found.values}")
    compare_warnings(found, list(tables.values()))


def compare_groups(found: msecli.Result, labels: list[str | None], losses: np.ndarray, used: np.ndarray) -> None:
    expected = {}
    for label in set(labels):
        rows = np.array([other == label for other in labels])
        chosen = losses[rows & used]
        loss = quotient(total(chosen), len(chosen)) if len(chosen) else None
        expected[label] = {"matched": int(rows.sum()), "loss": loss}
    groups = [(*entry.label.values(), entry.score) for entry in found.groups]
    scores = {
        label if label is None else str(label): {"matched": score.rows.matched, "loss": score.loss}
        for label, score in groups
    }
    if set(scores) != set(expected) or len(scores) != len(groups):
        raise Mismatch("other groups", f"expected {set(labels)}, found {groups}")
    compare(scores, expected, " group")


OF_SCORING = {"columns_chosen", "equal_columns", "infinite_values", "left_out_of_macro"}
"""Warnings that are not of reading text."""


def compare_warnings(found: msecli.Result, tables: list[Table]) -> None:
    counts = {"overflowed_numbers": 0, "rounded_integers": 0, "blank_lines": 0}
    for warning in found.warnings:
        if warning.code not in OF_SCORING:
            counts[warning.code] += warning.count
    inexact = [sum(table.inexact[number] for table in tables) for number in (0, 1)]
    compare(counts, {"overflowed_numbers": inexact[0], "rounded_integers": inexact[1]})
    # Blank lines below the last row may count or not.
    least, most = (sum(table.blank[number] for table in tables) for number in (0, 1))
    if not least <= counts["blank_lines"] <= most:
        raise Mismatch("other count of blank lines", f"expected {least} to {most}, found {counts}")


def test_the_plain_reader_agrees_with_the_csv_module(fuzz: Fuzz) -> None:
    fuzz.run(lambda random: check_reader(text_case(random)), lambda random: described(text_case(random)))


def check_reader(case: TextCase) -> None:
    way = Way(case.way.delimiter)
    for text in (content.decode("utf-8", "surrogateescape") for content in case.files.values()):
        ours = fields_of(record.fields for record in records(text, way))
        if ours != fields_of(csv.reader(io.StringIO(text, newline=""), delimiter=way.delimiter, strict=True)):
            raise Mismatch("the csv module reads other records", ours)


def fields_of(rows: Iterable[list[str]]) -> list[list[str]] | None:
    try:
        return list(rows)
    except (BadLinesError, csv.Error):
        return None
