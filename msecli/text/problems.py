"""What is wrong with delimited text: the slow, exact look after fast parsing has failed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msecli.errors import SHOWN, setting, shown
from msecli.text.grammar import COMMENT_MARKS, Grammar, marks, notations_of, plain
from msecli.text.records import Dialect, Record, data_records

HINTS = (
    (r"#\s.*", "if this is a comment, use `comment=#`"),
    (r"[+-]?\d[\d_]*(\.\d+)?", "remove the underscores"),
    (r"[+-]?[\d.,]+\s*%", "a percentage: remove the % and divide by 100"),
    (r"[$€£¥]\s*[\d.,]+|[\d.,]+\s*[$€£¥]", "remove the currency sign"),
    (r"[+-]?[\d.]+[dD][+-]?\d+", "a Fortran exponent: write e instead of d"),
    (r"0[xX][0-9a-fA-F]+", "a hexadecimal number: write it in decimal"),
    (r"(?i:true|false|yes|no)", "a truth value: write 1 and 0"),
    (r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|\d{1,2}:\d{2}.*", "a date or time is not a number"),
    (r"(?i:(none|null|n/?a|nil|missing|unknown|[-.?*#]+).*)", ""),
)


def first_problem(
    buffer: bytes, dialect: Dialect, grammar: Grammar, numbers: Sequence[int], labels: Sequence[int]
) -> tuple[int, str] | None:
    """Return the line, from 0, and the description of the first unreadable record; None if all can be read.

    Parameters
    ----------
    buffer : bytes
        Records without the header.
    dialect : Dialect
    grammar : Grammar
    numbers, labels : sequence of int
        The columns that must hold numbers, and those that must hold text.
    """
    for record in data_records(buffer, dialect, single=len(grammar.names) == 1):
        problem = _record_problem(record, dialect, grammar, numbers, labels)
        if problem:
            return record.line, problem
    return None


def _record_problem(
    record: Record, dialect: Dialect, grammar: Grammar, numbers: Sequence[int], labels: Sequence[int]
) -> str | None:
    expected, found = len(grammar.names), len(record.fields)
    try:
        fields = {column: record.fields[column].decode() for column in (*numbers, *labels) if column < found}
    except UnicodeDecodeError as error:
        return f"byte 0x{error.object[error.start]:02X} is not UTF-8; use `encoding`, such as `encoding=cp1252`"
    values = ((column, fields[column]) for column in numbers if column < found)
    bad = next(
        (column for column, field in values if not grammar.is_missing(field) and not grammar.fits(field, column)), None
    )
    if found == expected and bad is None:
        return None
    texts = [field.decode(errors="replace") for field in record.fields]
    if [text.strip() for text in texts] == [name.strip() for name in grammar.names]:
        return "this line repeats the header; are several files joined in one?"
    first = texts[0].lstrip()
    # In a single column, a field such as #missing is as likely to be a word for missing as a comment.
    likely = found != expected or (expected > 1 and bad == 0)
    if likely and first.startswith(COMMENT_MARKS) and not grammar.is_missing(texts[0]):
        return f"{shown(texts[0])}: if this is a comment, use `comment={first[0]}`"
    if found != expected or bad is None:
        trailing = found == expected + 1 and texts[-1] == ""
        return f"{expected} columns expected, {found} found" + (
            "; the line has an extra trailing delimiter" if trailing else f": {shown(', '.join(texts))}"
        )
    wrong = f"is not a number{field_hint(fields[bad], grammar, dialect.delimiter.decode())}"
    if bad in grammar.truths:
        wrong = f"is neither {' nor '.join(grammar.truths[bad])}, as the fields above it are"
    return f"column {grammar.names[bad]!r}: {shown(fields[bad])} {wrong}"


def field_hint(field: str, grammar: Grammar, delimiter: str) -> str:
    """Return advice about a field that is not a number, as the end of a sentence."""
    text = field.strip()
    if not text:
        return f"; if fields of blanks mean missing, use {setting('na_values', field)}"
    if hint := _notation_hint(text, grammar, delimiter):
        return hint
    strange = next((character for character in text if ord(character) > 127 or ord(character) < 32), None)
    if strange is not None and strange not in "€£¥":
        return f"; it holds the character U+{ord(strange):04X}"
    for pattern, hint in HINTS:
        if re.fullmatch(pattern, text):
            return f"; {hint}" if hint else f"; if it means missing, use {setting('na_values', field)}"
    typed = len(text) <= SHOWN and "," not in text  # commas separate words
    return f"; if it means missing, use {setting('na_values', field)}" if typed else ""


def _notation_hint(text: str, grammar: Grammar, delimiter: str) -> str:
    """Return how to read a number that is written in another notation, or in one of several; "" if it is in none."""
    readings: dict[str, str] = {}
    for decimal, thousands in notations_of(text):
        wanted = {"thousands": thousands} if thousands else {}
        # A number without a decimal mark says nothing of it.
        if decimal != grammar.decimal and (decimal in text or thousands == grammar.decimal):
            wanted |= {"decimal": decimal} | ({"delimiter": delimiter} if decimal == delimiter else {})
        readings.setdefault(" ".join(setting(*each) for each in wanted.items()), plain(text, decimal, thousands))
    if grammar.thousands and any(mark in text for mark in marks(grammar.thousands)):
        return f"; {grammar.thousands!r} has three digits behind it where it stands between thousands"
    told = [f"as {number}, use {wanted}" for wanted, number in readings.items()]
    return f"; to read it {'; '.join(told)}" if told else ""
