"""`python -m msecli`."""

from msecli.cli.main import main

if __name__ == "__main__":
    main(program="python -m msecli")
