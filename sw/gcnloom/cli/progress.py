# SPDX-License-Identifier: Apache-2.0
"""What is shown while something takes long: a live line on a terminal, few lines elsewhere."""

import time
from typing import TextIO

from gcnloom.training.epoch import Epoch
from gcnloom.transport.link import Moved
from gcnloom.transport.window import Window

__all__ = ["CLEAR", "Progress", "bar"]

WIDTH = 20
CLEAR = "\r\x1b[K"
MIB = 1 << 20


def bar(fraction: float, width: int = WIDTH) -> str:
    """Return `width` characters of which `fraction` are filled."""
    filled = round(min(1.0, max(0.0, fraction)) * width)
    return "█" * filled + "░" * (width - filled)


class Progress:
    """Report stages and epochs.

    Parameters
    ----------
    stream : TextIO
        A terminal gets one line that is rewritten, anything else a line for each stage and for
        every tenth of the epochs.
    epochs : int
        How many there will be.
    quiet, verbose : bool
        Nothing at all; every epoch on a line of its own.
    """

    def __init__(
        self, stream: TextIO, *, epochs: int = 0, quiet: bool = False, verbose: bool = False
    ) -> None:
        self._stream, self._epochs = stream, epochs
        self._quiet, self._verbose = quiet, verbose
        self._live = stream.isatty() and not verbose
        self._begin: tuple[float, int] | None = None
        self._cycles = 0

    def stage(self, text: str) -> None:
        """Say what is being done."""
        self._show(f"{text}...", last=not self._live)

    def epoch(self, epoch: Epoch) -> None:
        """Show an epoch that has ended."""
        self._cycles += epoch.cycles
        now = time.perf_counter()
        if self._begin is None:
            self._begin = now, epoch.epoch
        last = epoch.epoch == self._epochs
        tenth = epoch.epoch == 1 or epoch.epoch * 10 // self._epochs > (
            (epoch.epoch - 1) * 10 // self._epochs
        )
        if not (self._live or self._verbose or last or tenth):
            return
        line = f"{bar(epoch.epoch / self._epochs)} {epoch.epoch}/{self._epochs}  " + "  ".join(
            self._numbers(epoch)
        )
        if self._live and not last and now > self._begin[0]:
            done = epoch.epoch - self._begin[1]
            left = (self._epochs - epoch.epoch) * (now - self._begin[0]) / max(1, done)
            line += f"  {left:.0f} s left"
        self._show(line, last=last or not self._live)

    def streams(self, window: Window, moved: Moved, unit: str) -> None:
        """Say that device memory is streamed, and what `unit`, an epoch for example, moves."""
        self._show(
            f"the graph is larger than the device memory: streaming {window.need / MIB:.2f} MiB "
            f"through {window.size / MIB:.2f} MiB, {moved.bytes / MIB:.2f} MiB {unit}",
            last=True,
        )

    def part(self, done: int, total: int, text: str, left: float | None) -> None:
        """Show what is being done of several things, `done` of which are over.

        `left` are the seconds that the rest will take, if that is known.
        """
        line = f"{bar(done / total)} {done}/{total}  {text}"
        if self._live and left is not None:
            line += f"  {left:.0f} s left"
        self._show(line, last=not self._live)

    def note(self, text: str) -> None:
        """Say something that stays."""
        self._show(text, last=True)

    def close(self) -> None:
        """Remove the live line, so that something else can be printed."""
        if self._live and not self._quiet:
            self._stream.write(CLEAR)
            self._stream.flush()

    def _numbers(self, epoch: Epoch) -> list[str]:
        numbers = [f"loss {epoch.loss:.4f}" if epoch.loss < 1e6 else f"loss {epoch.loss:.3g}"]
        for name, value in (("train", epoch.train), ("val", epoch.val)):
            if value is not None:
                numbers.append(f"{name} {100 * value:5.1f} %")
        if self._cycles:
            numbers.append(f"{self._cycles / 1e6:.1f} M cycles")
        return numbers

    def _show(self, text: str, *, last: bool) -> None:
        if self._quiet:
            return
        start = CLEAR if self._live else ""
        self._stream.write(f"{start}{text}" + ("\n" if last else ""))
        self._stream.flush()
