"""The picture at the head of the README: a command on a terminal of 80 columns, and what it prints there.

`python -m tests.docs.picture` draws it anew.
"""

from __future__ import annotations

import fcntl
import html
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from pathlib import Path
from unicodedata import east_asian_width

ROOT = Path(__file__).parent.parent.parent
PICTURE = Path(__file__).parent / "table.svg"
COMMAND = (
    "msecli compute sample_data/diabetes_scores.parquet -p ridge -t target \\\n"
    "    --by age_band,sex -m rmse,mae,bias,r2"
)

COLUMNS, ROWS = 80, 24
ADVANCE, LINE, MARGIN = 8.4, 19, 16
"""The width of a character, the height of a line, and the edge around all of them, in pixels of the picture."""

LOOKS = {"1": "bold", "1;31": "bold red"}
"""The escape sequences that msecli prints, and their names in the style sheet."""

STYLE = """
text { font: 14px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre; fill: #1f2328 }
rect { fill: #f6f8fa; stroke: #d1d9e0 }
.bold { font-weight: bold }
.red { fill: #b3261e }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  rect { fill: #0d1117; stroke: #3d444d }
  .red { fill: #ff7b72 }
}
"""


def on_terminal(command: str) -> str:
    """Return what a command prints on a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    own = ("FORCE_COLOR", "NO_COLOR", "COLUMNS")
    environment = {key: value for key, value in os.environ.items() if key not in own and not key.startswith("MSECLI_")}
    words = [sys.executable, "-m", *shlex.split(command.replace("\\\n", ""))]
    with subprocess.Popen(
        words, cwd=ROOT, env={**environment, "TERM": "xterm-256color"}, stdin=theirs, stdout=theirs, stderr=theirs
    ):
        os.close(theirs)
        printed = b""
        try:
            while data := os.read(ours, 1 << 16):
                printed += data
        except OSError:  # the other end is closed: the command has ended
            pass
    os.close(ours)
    return printed.decode().replace("\r\n", "\n")


def drawn(text: str) -> str:
    """Return a picture of what a terminal shows."""
    lines = text.rstrip("\n").split("\n")
    width, height = COLUMNS * ADVANCE + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN
    body = "\n".join(
        piece for number, line in enumerate(lines) for piece in _pieces(line, MARGIN + (number + 0.75) * LINE)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}">\n'
        f"<style>{STYLE}</style>\n"
        f'<rect x="0.5" y="0.5" width="{width - 1:g}" height="{height - 1:g}" rx="6"/>\n'
        f"{body}\n</svg>\n"
    )


def _pieces(line: str, y: float) -> list[str]:
    """Return the words of a line, each at its place, so that numbers stand in columns in any font."""
    pieces, column, look = [], 0, ""
    for part in re.split(r"(\x1b\[[\d;]*m)", line):
        if part.startswith("\x1b"):
            look = LOOKS.get(part[2:-1], "")
            continue
        for word in re.finditer(r"\S+(?: \S+)*", part):
            x = MARGIN + (column + _columns(part[: word.start()])) * ADVANCE
            marked = f' class="{look}"' if look else ""
            length = f'textLength="{_columns(word[0]) * ADVANCE:g}" lengthAdjust="spacingAndGlyphs"'
            pieces.append(f'<text x="{x:g}" y="{y:g}" {length}{marked}>{html.escape(word[0])}</text>')
        column += _columns(part)
    return pieces


def _columns(text: str) -> int:
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def picture() -> str:
    """Return the picture as it is to be."""
    return drawn(f"$ {COMMAND}\n{on_terminal(COMMAND)}")


if __name__ == "__main__":
    PICTURE.write_text(picture())
