"""What was found on the way and is no error: the same things added up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from msecli.result import Warned
from msecli.sources.base import Block, Note


class Notes:
    """Notes, each once, with how often it was made."""

    def __init__(self, notes: Iterable[Note] = ()) -> None:
        self._notes: dict[tuple[str, str, str], Note] = {}
        self.add(notes)

    def add(self, notes: Iterable[Note]) -> None:
        """Remember notes."""
        for note in notes:
            key = (note.code, note.where, note.meaning)
            seen = self._notes.get(key)
            self._notes[key] = note if seen is None else replace(note, count=note.count + seen.count)

    def of(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Yield the blocks, remembering their notes."""
        for block in blocks:
            self.add(block.notes)
            yield block

    def warned(self) -> tuple[Warned, ...]:
        """Return the notes as a result holds them."""
        return tuple(Warned(note.code, note.where, note.meaning, note.count) for note in self._notes.values())
