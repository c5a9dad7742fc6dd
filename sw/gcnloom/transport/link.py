# SPDX-License-Identifier: Apache-2.0
"""A transport that counts what goes over it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gcnloom.transport import NOTHING_JUDGED, Ended, Judged, Transport, Watch

__all__ = ["Link", "Moved"]


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What went over a link.

    Attributes
    ----------
    sent, received : int
        Bytes of device memory written and read, programs included.
    runs : int
        Programs, and segments of programs, that ran.
    """

    sent: int = 0
    received: int = 0
    runs: int = 0

    @property
    def bytes(self) -> int:
        """Bytes both ways."""
        return self.sent + self.received

    def __floordiv__(self, parts: int) -> "Moved":
        return Moved(
            sent=self.sent // parts, received=self.received // parts, runs=self.runs // parts
        )

    def __sub__(self, earlier: "Moved") -> "Moved":
        return Moved(
            sent=self.sent - earlier.sent,
            received=self.received - earlier.received,
            runs=self.runs - earlier.runs,
        )


class Link:
    """The device's own memory and its runs, counted.

    Parameters
    ----------
    transport : Transport

    Attributes
    ----------
    sent, received, runs : int
        See :class:`Moved`.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.sent = self.received = self.runs = 0

    @property
    def moved(self) -> Moved:
        """What went over it so far."""
        return Moved(sent=self.sent, received=self.received, runs=self.runs)

    def write(self, address: int, data: bytes) -> None:
        """Write words of the device's memory."""
        self._transport.write(address, data)
        self.sent += len(data)

    def read(self, address: int, words: int) -> bytes:
        """Read words of the device's memory."""
        data = self._transport.read(address, words)
        self.received += len(data)
        return data

    def run(
        self, program_address: int, commands: int, seed: int, step: int, *,
        judged: Judged = NOTHING_JUDGED, watch: Watch | None = None, keep: bool = False,
    ) -> Ended:  # fmt: skip
        """Run a program that lies in the device's memory."""
        self.runs += 1
        return self._transport.run(
            program_address, commands, seed, step, judged=judged, watch=watch, keep=keep
        )

    def counters(self) -> dict[str, int]:
        """Counters of the last run."""
        return self._transport.counters()

    def statistics(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Envelopes and saturations of the last run, by tensor id."""
        return self._transport.statistics()
