"""`python -m msecli`, and the entry point of `msecli`."""

from __future__ import annotations

import sys

from msecli import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn


def main(program: str = "msecli") -> NoReturn:
    """Run the command line of this process.

    The imports are inside the `try`, so that Ctrl-C is handled while modules are still loading.
    """
    try:
        from msecli.cli import process

        process.start()
        from msecli.cli.main import main as run

        run(program=program)
    except KeyboardInterrupt:
        from msecli.errors import EXIT_INTERRUPTED

        if sys.stderr is not None:
            sys.stderr.write("Error: interrupted\n")
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main("python -m msecli")
