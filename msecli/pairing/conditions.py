"""Conditions on rows, such as ``h <= 4 and region in ('north', 'south')``: parsed, never evaluated as code.

A condition compares columns with numbers, or with texts in quotes; comparisons are joined by ``and``, ``or``, ``not``
and parentheses. As in SQL, a comparison with a missing value is unknown, and so is what depends on it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NoReturn, Protocol

import numpy as np

from msecli.arrays import BoolArray
from msecli.errors import UsageError
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    from msecli.arrays import FloatArray
    from msecli.pairing.position import Aligned

Value = float | str

ORDERS: dict[str, Callable[[Value, Value], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
"""The comparisons, for numbers and for texts (by their characters)."""

SPELLED = {"=": "==", "<>": "!=", "≠": "!=", "≤": "<=", "≥": ">="}
"""Other spellings of comparisons."""

TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""The same comparison with its sides exchanged."""

WORDS = ("and", "or", "not", "in", "is", "missing", "null", "true", "false")
MEANT = {"&": "and", "&&": "and", "|": "or", "||": "or", "!": "not", "~": "not"}
"""What stands for words in other languages."""

TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]) | [-+]inf\b)
      | (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<quoted>`[^`]+`)
      | (?P<name>[^\W\d][\w.]*)
      | (?P<mark><=|>=|==|!=|<>|&&|\|\||[<>=≤≥≠(),&|!~])
    )""",
    re.VERBOSE,
)


class Token(NamedTuple):
    """A piece of a condition: its kind, its text, and where it begins."""

    kind: str
    text: str
    at: int


class Column(NamedTuple):
    """A column in a condition: its name, and where it stands.

    Once it is looked up, also its file, its name there, and whether it is read as numbers.
    """

    name: str
    at: int
    file: int = -1
    own: str = ""
    numeric: bool = True


class Truth(NamedTuple):
    """Which rows meet a condition, and for which it is unknown."""

    true: BoolArray
    unknown: BoolArray


class Condition(Protocol):
    """A condition, or a part of one."""

    def columns(self) -> Iterator[tuple[Column, bool | None]]:
        """Yield its columns, and whether they are compared with numbers; None if with neither these nor texts."""
        ...

    def located(self, place: Callable[[Column, bool | None], Column]) -> Condition:
        """Return the same condition with its columns looked up."""
        ...

    def of(self, rows: Aligned) -> Truth:
        """Return which rows meet it."""
        ...


class Comparison(NamedTuple):
    """A column compared with a value, or with several of which one is enough."""

    column: Column
    order: str
    values: tuple[Value, ...]

    def columns(self) -> Iterator[tuple[Column, bool | None]]:
        """Yield the column."""
        yield self.column, not isinstance(self.values[0], str)

    def located(self, place: Callable[[Column, bool | None], Column]) -> Comparison:
        """Return the same comparison with its column looked up."""
        return self._replace(column=place(*next(self.columns())))

    def of(self, rows: Aligned) -> Truth:
        """Compare numbers as numbers, and labels as texts, each distinct one once."""
        compare = ORDERS[self.order]
        if not isinstance(self.values[0], str):
            numbers = _numbers(rows, self.column)
            found = [compare(numbers, value) for value in self.values]  # type: ignore[arg-type] # by element
            unknown = np.isnan(numbers)
            return Truth(np.any(found, axis=0) & ~unknown, unknown)
        from msecli.pairing.labels import codes_of

        codes, dictionary = codes_of(rows.blocks[self.column.file].labels[self.column.own])
        labels = dictionary.tolist()
        met = [label is not None and any(compare(str(label), value) for value in self.values) for label in labels]
        return Truth(np.array(met, dtype=bool)[codes], np.array([label is None for label in labels])[codes])


class Missing(NamedTuple):
    """Whether a column's value is missing."""

    column: Column

    def columns(self) -> Iterator[tuple[Column, bool | None]]:
        """Yield the column."""
        yield self.column, None

    def located(self, place: Callable[[Column, bool | None], Column]) -> Missing:
        """Return the same with the column looked up."""
        return Missing(place(self.column, None))

    def of(self, rows: Aligned) -> Truth:
        """Tell which values are missing; this is never unknown."""
        if self.column.numeric:
            found = np.isnan(_numbers(rows, self.column))
        else:
            from msecli.pairing.labels import missing

            mask = missing(rows.blocks[self.column.file].labels[self.column.own])
            found = np.zeros(rows.rows, dtype=bool) if mask is None else mask
        return Truth(found, np.zeros(len(found), dtype=bool))


class Not(NamedTuple):
    """The opposite of a condition."""

    part: Condition

    def columns(self) -> Iterator[tuple[Column, bool | None]]:
        """Yield the columns of the condition."""
        yield from self.part.columns()

    def located(self, place: Callable[[Column, bool | None], Column]) -> Not:
        """Return the opposite of the condition with its columns looked up."""
        return Not(self.part.located(place))

    def of(self, rows: Aligned) -> Truth:
        """Return the rows that do not meet the condition."""
        true, unknown = self.part.of(rows)
        return Truth(~true & ~unknown, unknown)


class Both(NamedTuple):
    """Two conditions joined by `and`, or by `or`."""

    first: Condition
    second: Condition
    either: bool = False

    def columns(self) -> Iterator[tuple[Column, bool | None]]:
        """Yield the columns of both."""
        yield from self.first.columns()
        yield from self.second.columns()

    def located(self, place: Callable[[Column, bool | None], Column]) -> Both:
        """Return the same with the columns looked up."""
        return self._replace(first=self.first.located(place), second=self.second.located(place))

    def of(self, rows: Aligned) -> Truth:
        """Join by Kleene's logic: what decides by itself is known, whatever the other is."""
        (a, a_unknown), (b, b_unknown) = self.first.of(rows), self.second.of(rows)
        unknown = a_unknown | b_unknown
        if self.either:
            return Truth(a | b, unknown & ~(a | b))
        false = ~(a | a_unknown) | ~(b | b_unknown)
        return Truth(a & b, unknown & ~false)


def _numbers(rows: Aligned, column: Column) -> FloatArray:
    return rows.blocks[column.file].numbers[column.own]


def sifted(condition: Condition, rows: Aligned) -> tuple[Aligned, int, int]:
    """Return the rows that meet a condition, how many do not, and of how many of these it is not known."""
    true, unknown = condition.of(rows)
    chosen = np.flatnonzero(true)
    kept = rows if len(chosen) == rows.rows else rows.take(chosen)
    return kept, rows.rows - len(chosen), int(np.count_nonzero(unknown))


def condition_of(text: str) -> Condition:
    """Return the condition that a text describes.

    Raises
    ------
    UsageError
        With the place of what is wrong.

    Examples
    --------
    >>> condition_of("h <= 4 and not region == 'north'").second.part.column.name
    'region'
    """
    return _Parser(text).parse()


def told(text: str, at: int, problem: str) -> str:
    """Return a problem with a condition, and below it the place."""
    shown = text.replace("`", "'").replace("\n", " ").replace("\t", " ")
    return f"`where`: {problem}\n  {shown}\n  {' ' * at}^"


class _Parser:
    """A parser by recursive descent: or, and, not, comparison."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split())
        self._next = 0

    def parse(self) -> Condition:
        found = self._any()
        if self._token.kind != "end":
            self._fail("here 'and' or 'or' is missing, or the condition ends")
        return found

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _split(self) -> Iterator[Token]:
        at, text = 0, self._text.rstrip()
        while at < len(text):
            found = TOKEN.match(text, at)
            if found is None:
                at += len(text[at:]) - len(text[at:].lstrip())
                open_quote = text[at] in "'\"`"
                problem = "the quote is never closed" if open_quote else f"{text[at]!r} has no meaning here"
                if text[at] in "-+/*" and at:
                    problem += "; put the name of a column that holds it in back quotes"
                raise UsageError(told(self._text, at, problem))
            kind = str(found.lastgroup)
            word, start = found[kind], found.start(kind)
            if word in MEANT:
                raise UsageError(told(self._text, start, f"write {MEANT[word]!r}"))
            if kind == "name" and word.lower() in WORDS:
                kind, word = "word", word.lower()
            yield Token(kind, SPELLED.get(word, word) if kind == "mark" else word, start)
            at = found.end()
        yield Token("end", "", len(text))

    def _takes(self, *texts: str) -> bool:
        """Take the next token if it is one of these words or marks."""
        taken = self._token.kind in ("word", "mark") and self._token.text in texts
        self._next += taken
        return taken

    def _expect(self, text: str) -> None:
        if not self._takes(text):
            self._fail(f"here {text!r} is missing")

    def _any(self) -> Condition:
        found = self._all()
        while self._takes("or"):
            found = Both(found, self._all(), either=True)
        return found

    def _all(self) -> Condition:
        found = self._one()
        while self._takes("and"):
            found = Both(found, self._one())
        return found

    def _one(self) -> Condition:
        if self._takes("not"):
            return Not(self._one())
        if self._takes("("):
            found = self._any()
            self._expect(")")
            return found
        return self._comparison()

    def _comparison(self) -> Condition:
        left = self._operand()
        if isinstance(left, Column):
            if self._takes("is"):
                negated = self._takes("not")
                if not self._takes("missing", "null"):
                    self._fail("here 'missing' is missing")
                return Not(Missing(left)) if negated else Missing(left)
            negated = self._takes("not")
            if self._takes("in"):
                listed = Comparison(left, "==", self._list())
                return Not(listed) if negated else listed
            if negated:
                self._fail("here 'in' is missing")
        found, left = self._compared(left)
        while self._token.kind == "mark" and self._token.text in ORDERS:  # as in 0 < h < 4
            more, left = self._compared(left)
            found = Both(found, more)
        return found

    def _compared(self, left: Column | Value) -> tuple[Condition, Column | Value]:
        """Return the comparison of an operand with the next one, and this."""
        token = self._token
        if token.kind != "mark" or token.text not in ORDERS:
            self._fail(f"here a comparison is missing: one of {' '.join(ORDERS)}, 'in', 'is missing'")
        self._next += 1
        at = self._token
        right = self._operand()
        if isinstance(left, Column) and not isinstance(right, Column):
            return Comparison(left, token.text, (right,)), right
        if isinstance(right, Column) and not isinstance(left, Column):
            return Comparison(right, TURNED.get(token.text, token.text), (left,)), right
        if isinstance(right, Column):
            raise UsageError(
                told(self._text, at.at, f"a column is compared with a value; write a text as {right.name!r}")
            )
        raise UsageError(told(self._text, at.at, "a comparison needs a column; a name stands without quotes"))

    def _list(self) -> tuple[Value, ...]:
        self._expect("(")
        values = [self._value()]
        while self._takes(","):
            values.append(self._value())
        self._expect(")")
        if len({isinstance(value, str) for value in values}) > 1:
            raise UsageError(told(self._text, self._token.at - 1, "a list holds numbers or texts, not both"))
        return tuple(values)

    def _value(self) -> Value:
        token = self._token
        found = self._operand()
        if isinstance(found, Column):
            raise UsageError(told(self._text, token.at, f"a list holds values; write a text as {found.name!r}"))
        return found

    def _operand(self) -> Column | Value:
        kind, text, at = self._token
        if self._takes("true", "false"):
            return float(text == "true")
        if kind not in ("number", "text", "quoted", "name"):
            self._fail("here a column, a number, or a text in quotes is missing")
        self._next += 1
        if kind == "number":
            return float(text)
        if kind == "text":
            return text[1:-1].replace(text[0] * 2, text[0])
        name = text[1:-1] if kind == "quoted" else text
        if kind == "name" and name.lower() == "nan":
            raise UsageError(told(self._text, at, "nothing equals nan; write 'is missing'"))
        return Column(name, at)

    def _fail(self, problem: str) -> NoReturn:
        raise UsageError(told(self._text, self._token.at, problem))
