# SPDX-License-Identifier: Apache-2.0
"""The pins of an SDR SDRAM, without their levels."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.dram.config import SdramConfig

__all__ = ["SdramPins"]


class SdramPins(wiring.Signature):
    """Pins as the controller sees them; 1 is asserted, whatever the level of the pin.

    Named like those of an ``SDRAMResource`` of amaranth-boards, which inverts `cs`, `ras`, `cas`
    and `we`. The part's clock is the controller's, of a phase that the board chooses.

    Parameters
    ----------
    config : SdramConfig
    """

    def __init__(self, config: SdramConfig) -> None:
        data_bits = config.part.data_bits
        super().__init__(
            {
                "clk_en": Out(1),
                "cs": Out(1),
                "ras": Out(1),
                "cas": Out(1),
                "we": Out(1),
                "ba": Out(config.bank_bits),
                "a": Out(config.pins),
                "dqm": Out(data_bits // 8),
                "dq_o": Out(data_bits),
                "dq_oe": Out(1),
                "dq_i": In(data_bits),
            }
        )
