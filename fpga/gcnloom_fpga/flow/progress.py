# SPDX-License-Identifier: Apache-2.0
"""Say what the tools are doing, from what they print."""

import re
import time
from collections.abc import Callable
from typing import TextIO

__all__ = ["Narrator", "nextpnr_watch", "yosys_watch"]

CLEAR = "\r\x1b[K"
WIDTH = 79
AGAIN = 10.0
"""Seconds between two lines of the same step where lines cannot be rewritten."""

PHASES = (
    (re.compile(r"Packing constants|Packing IOs|Pack IOs"), "packing"),
    (re.compile(r"Creating initial analytic placement"), "placing"),
    (re.compile(r"at iteration #(\d+), type ALL"), "placing, round {0}"),
    (re.compile(r"Running simulated annealing placer|Starting SA|at iteration #\d+: temp"),
     "refining the placement"),
    (re.compile(r"iter=(\d+) wires=\d+ overused=(\d+)"), "routing, round {0}: {1} wires overused"),
)  # fmt: skip
ARCS = re.compile(r"Routing (\d+) arcs")
REMAINING = re.compile(r"Info:\s+\d+ \|\s+\d+\s+\d+ \|\s+\d+\s+\d+ \|\s+(\d+)\|")
PASS = re.compile(r"^\d+\.(?:\d+\.)? Executing (\S+) pass")


class Narrator:
    """Show a step and how far it is: one line on a terminal, few lines elsewhere.

    Parameters
    ----------
    stream : TextIO
    quiet : bool
        Say nothing.
    """

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self._stream, self._quiet = stream, quiet
        self._live = stream.isatty()
        self._step, self._said, self._when = "", "", 0.0

    def step(self, text: str) -> None:
        """Begin a step."""
        self.close()
        self._step = text
        self._say(text)

    def detail(self, text: str) -> None:
        """Say how far the step is."""
        patient = time.monotonic() - self._when < AGAIN
        if f"{self._step}: {text}" != self._said and (self._live or not patient):
            self._say(f"{self._step}: {text}")

    def close(self) -> None:
        """Remove the live line, so that something else can be printed."""
        if self._live and self._said and not self._quiet:
            self._stream.write(CLEAR)
            self._stream.flush()
        self._said = ""

    def _say(self, text: str) -> None:
        self._said, self._when = text, time.monotonic()
        if not self._quiet:
            self._stream.write(f"{CLEAR}{text[:WIDTH]}" if self._live else f"{text}\n")
            self._stream.flush()


def nextpnr_watch(detail: Callable[[str], None]) -> Callable[[str], None]:
    """Return a watcher of nextpnr's lines that says the phase, and how much is routed."""
    arcs = [0]

    def watch(line: str) -> None:
        begin = ARCS.search(line)
        if begin:
            arcs[0] = int(begin[1])
        remaining = REMAINING.match(line)
        if remaining and arcs[0]:
            # An arc may be routed again: what remains can grow.
            done = max(0.0, 1 - int(remaining[1]) / arcs[0])
            detail(f"routing {100 * done:.0f} %")
        for pattern, text in PHASES:
            found = pattern.search(line)
            if found:
                detail(text.format(*found.groups()))

    return watch


def yosys_watch(detail: Callable[[str], None]) -> Callable[[str], None]:
    """Return a watcher of yosys' lines that says the pass."""

    def watch(line: str) -> None:
        found = PASS.match(line)
        if found:
            detail(found[1].lower())

    return watch
