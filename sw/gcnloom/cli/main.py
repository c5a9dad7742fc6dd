# SPDX-License-Identifier: Apache-2.0
"""Entry: parse, run a command, turn mistakes into one line and an exit code."""

import argparse
import sys
import warnings
from collections.abc import Sequence

from gcnloom.cli import infer as inference
from gcnloom.cli import inspect, plugins, study, train
from gcnloom.cli.options import INTERRUPTED
from gcnloom.cli.progress import CLEAR
from gcnloom.errors import ClippedWarning, LoomError

__all__ = ["main", "parser"]

EPILOG = "exit codes: 0 done, 1 doctor found something, 2 a mistake to mend, 130 interrupted"


class Parser(argparse.ArgumentParser):
    """Parser whose errors read like every other error of the program."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Print one line and exit with code 2."""
        print(f"gcnloom: error: {message}; try {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the whole command line.

    Of the commands that other packages bring, only `command` has its options.
    """
    top = Parser(
        prog="gcnloom",
        description="Train graph convolutional networks on generated accelerators.",
        epilog=EPILOG,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (train, study, inference, inspect):
        module.add_commands(commands)
    plugins.add_commands(commands, command)
    return top


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """Show a warning as a line of its own, in place of the live one."""
    start = CLEAR if sys.stderr.isatty() else ""
    print(f"{start}gcnloom: warning: {message}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = parser(arguments[0] if arguments else None).parse_args(arguments)
    except LoomError as error:
        print(f"gcnloom: error: {error}", file=sys.stderr)
        return 2
    options.arguments = arguments
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", ClippedWarning)
            warnings.showwarning = _warn
            code: int = options.run(options)
        return code
    except LoomError as error:
        if options.verbose:
            raise
        print(f"gcnloom: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read the output, `head` for example, has seen enough.
        sys.stderr.close()
        return 0
    except OSError as error:
        # Files are checked where they are named; this is a full disk, or a lost one.
        print(f"gcnloom: error: {error}; try another path", file=sys.stderr)
        return 2
    except MemoryError:
        print("gcnloom: error: out of memory; try a smaller graph", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("gcnloom: interrupted", file=sys.stderr)
        return INTERRUPTED
