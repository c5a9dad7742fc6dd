# SPDX-License-Identifier: Apache-2.0
"""SdramConfig: which SDRAM behind which accelerator, and what follows for commands."""

from dataclasses import dataclass

from gcnloom_hw.dram.clocks import SdramClocks
from gcnloom_hw.dram.part import SdramPart

__all__ = ["ALL_BANKS", "SdramConfig"]

LONGEST_BURST = 8
ALL_BANKS = 10
"""The address pin that says with a precharge that it is for all banks."""


@dataclass(frozen=True, kw_only=True)
class SdramConfig:
    """Everything that an SDRAM controller is made from.

    Parameters
    ----------
    part : SdramPart
    clocks : SdramClocks
        As :meth:`SdramPart.clocks` counts them.
    memory_bytes : int
        Bytes of the accelerator's memory word, a power of two.
    input_delay : int
        Clocks by which data come later than a part at the controller's pins would give them:
        registers of the board's pads, out and in.
    """

    part: SdramPart
    clocks: SdramClocks
    memory_bytes: int
    input_delay: int = 0

    def __post_init__(self) -> None:
        row_bytes = self.part.data_bits // 8 << self.part.column_bits
        if self.memory_bytes < 1 or self.memory_bytes & (self.memory_bytes - 1):
            raise ValueError(f"memory_bytes={self.memory_bytes} is no power of two; try 16")
        if not self.part.data_bits // 8 <= self.memory_bytes <= row_bytes // 2:
            raise ValueError(
                f"memory_bytes={self.memory_bytes} is less than a transfer or more than half a "
                f"row of {self.part.name}; try {self.part.data_bits // 8} to {row_bytes // 2}"
            )
        if self.input_delay < 0:
            raise ValueError(f"input_delay={self.input_delay} is negative; try 0")
        if self.clocks.interval < self.refresh_period:
            raise ValueError(
                f"interval={self.clocks.interval} clocks are over before a refresh is, which takes "
                f"up to {self.refresh_period}; try a faster clock or a smaller memory_bytes"
            )

    @property
    def transfers(self) -> int:
        """Transfers of a word."""
        return 8 * self.memory_bytes // self.part.data_bits

    @property
    def burst(self) -> int:
        """Transfers of a burst."""
        return min(self.transfers, LONGEST_BURST)

    @property
    def bursts(self) -> int:
        """Bursts of a word."""
        return self.transfers // self.burst

    @property
    def refresh_delay(self) -> int:
        """Most clocks from a refresh's falling due to the refresh."""
        return self.clocks.delay(self.burst, self.bursts)

    @property
    def refresh_period(self) -> int:
        """Most clocks from a refresh's falling due until requests are served again."""
        return self.refresh_delay + self.clocks.refresh + 2

    @property
    def word_bits(self) -> int:
        """Bits of a word's place in its row."""
        return self.part.column_bits - (self.transfers - 1).bit_length()

    @property
    def bank_bits(self) -> int:
        """Bits of a bank's number."""
        return (self.part.banks - 1).bit_length()

    @property
    def pins(self) -> int:
        """Address pins: those of a row, and those of a column around :data:`ALL_BANKS`."""
        columns = self.part.column_bits
        return max(self.part.row_bits, columns + (columns > ALL_BANKS), ALL_BANKS + 1)

    @property
    def mode(self) -> int:
        """What is loaded into the mode register: sequential bursts, reads like writes."""
        return self.clocks.cas_latency << 4 | (self.burst - 1).bit_length()
