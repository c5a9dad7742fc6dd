# SPDX-License-Identifier: Apache-2.0
"""What is done with an accelerator through its registers alone: runs, and what they leave."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import DeviceError
from gcnloom.transport import NOTHING_JUDGED, Ended, Judged, Watch
from gcnloom.transport.interrupt import held_back
from gcnloom_spec.isa import COMMAND_BYTES
from gcnloom_spec.registers import (
    COUNTER_BASE,
    COUNTERS,
    REGISTERS,
    STATISTICS,
    Control,
    Status,
)

__all__ = ["WATCHDOG", "RegisterBus", "Runs"]

WATCHDOG = 1 << 20
"""Cycles without any movement after which a device abandons a run."""
WORD = 0xFFFFFFFF


class RegisterBus(Protocol):
    """Registers of a device, and its time."""

    def read(self, address: int, count: int) -> list[int]:
        """Read neighbouring registers."""

    def write(self, address: int, values: Sequence[int]) -> None:
        """Write neighbouring registers."""

    def read_selected(
        self, select: int, choices: Sequence[int], address: int, count: int
    ) -> list[list[int]]:
        """Write each choice to a register, and read neighbouring registers after each."""

    def start(self, control: int) -> None:
        """Write the register that starts a run, once whatever happens."""

    def goes_on(self, *, watched: bool) -> bool:
        """Let a run go on for a while, a short one if it is watched; return whether it does."""


class Runs:
    """Runs of the accelerator behind a bus.

    Parameters
    ----------
    bus : RegisterBus
    readable : bool
        Whether device memory can be read while a run is under way; if not, who watches is told of
        its end only.
    """

    def __init__(self, bus: RegisterBus, *, readable: bool = True) -> None:
        self._bus, self._readable = bus, readable

    def run(
        self, address: int, commands: int, seed: int, step: int, *,
        judged: Judged = NOTHING_JUDGED, watch: Watch | None = None, keep: bool = False,
    ) -> Ended:  # fmt: skip
        """Run a program to its end, see :meth:`gcnloom.transport.Transport.run`.

        Raises
        ------
        DeviceError
            Nothing moves any more, an opcode is unknown, or a sum may be wrong.
        """
        self._write(program_address=address, program_count=commands, seed=seed, step=step)
        best = judged.best
        self._write(worse=judged.worse, best_low=best & WORD, best_high=best >> 32)
        self._write(watchdog=WATCHDOG)
        try:
            with held_back() if watch else nullcontext(bool) as asked:
                self._bus.start(Control.RUN | (Control.KEEP if keep else 0))
                self._follow(watch, asked)
                interrupted = asked()
        except BaseException:
            # What went wrong matters more than that a device which is gone cannot be stopped.
            with suppress(DeviceError):
                self.abandon()
            raise
        self._check(commands)
        worse, low, high = self._read("worse", 3)
        return Ended(
            step=self._read("progress")[0], interrupted=interrupted,
            judged=Judged(best=high << 32 | low, worse=worse),
        )  # fmt: skip

    def abandon(self) -> None:
        """End a run that is under way, whatever it has done."""
        self._write(control=Control.ABANDON)
        while self._bus.goes_on(watched=False):
            pass

    def counters(self) -> dict[str, int]:
        """Read every performance counter of the last run."""
        values = self._bus.read(COUNTER_BASE, len(COUNTERS))
        return dict(zip(COUNTERS, values, strict=True))

    def statistics(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Read each tensor's envelope and saturations of the last run."""
        low, high, saturations = self._by_tensor("envelope_low", 3)
        return high << 32 | low, saturations

    def scales(self) -> NDArray[np.int64]:
        """Read every tensor's exponent, wanted exponent and shift, a row each."""
        table = self._by_tensor("exponent", 3)
        signed: NDArray[np.int64] = table.astype(np.uint32).astype(np.int32).astype(np.int64)
        return signed

    def _by_tensor(self, name: str, count: int) -> NDArray[np.int64]:
        """Read registers that show one tensor at a time; a row for each."""
        values = self._bus.read_selected(
            REGISTERS["statistic"].address, range(STATISTICS), REGISTERS[name].address, count
        )
        return np.array(values, dtype=np.int64).T.copy()

    def _follow(self, watch: Watch | None, asked: Callable[[], bool]) -> None:
        """Wait for the end of a run, or for that of an epoch if that is asked for."""
        finishing = False
        while self._bus.goes_on(watched=watch is not None):
            if watch and self._readable:
                watch(self._read("progress")[0])
            if asked() and not finishing:
                self._write(control=Control.FINISH)
                finishing = True
        if watch:
            watch(self._read("progress")[0])

    def _check(self, commands: int) -> None:
        """Raise if the run that has ended went wrong."""
        status = self._read("status")[0]
        if status & Status.EXPIRED:
            raise DeviceError(self._diagnosis())
        if status & Status.FAULT:
            raise DeviceError(
                f"the device stopped at an unknown opcode after {self.counters()['commands']} of "
                f"{commands} commands ({COMMAND_BYTES} bytes each); lower the program again"
            )
        if status & Status.HAZARD:
            raise DeviceError(
                "an edge came too soon after one of the same sum, or two read one operand bank, so "
                "that sums may be wrong; schedule the matrix again for this configuration"
            )

    def _diagnosis(self) -> str:
        counters = self.counters()
        waits = [name for name in COUNTERS if "_wait_" in name and counters[name] >= WATCHDOG // 2]
        return (
            f"the program hangs after {counters['cycles']} cycles and {counters['commands']} "
            f"commands ({', '.join(waits) or 'no unit waits for a token'}); the device was reset; "
            "check the program's tokens and its stores' counts"
        )

    def _write(self, **values: int) -> None:
        """Write registers that are neighbours in this order."""
        first = REGISTERS[next(iter(values))].address
        self._bus.write(first, list(values.values()))

    def _read(self, name: str, count: int = 1) -> list[int]:
        return self._bus.read(REGISTERS[name].address, count)
