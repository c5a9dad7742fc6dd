# SPDX-License-Identifier: Apache-2.0
"""What is proved of the SDRAM controller's answers."""

from amaranth import Cat, ClockDomain, Elaboratable, Module, Signal
from amaranth.hdl import Assert

from gcnloom_hw.dram.transfers import Transfers

__all__ = ["AnswersProof"]


class AnswersProof(Elaboratable):
    """Every burst read is one answer: what was on `dq` in the clocks of its transfers.

    Parameters
    ----------
    config : SdramConfig
        Of words of one burst.
    """

    def __init__(self, config):
        self.config = config
        self.transfers = Transfers(config)
        self.domain = ClockDomain("sync", reset_less=True)
        self.read = Signal()
        self.pins = Signal(config.part.data_bits)

    def ports(self):
        return [self.domain.clk, self.read, self.pins]

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = self.domain
        m.submodules.transfers = transfers = self.transfers
        burst = self.config.burst
        # As the scheduler does: bursts are apart.
        m.d.comb += [
            transfers.read.eq(self.read & transfers.taking.over),
            transfers.dq_i.eq(self.pins),
        ]
        # The command is on the pins one clock after `read`; its last transfer so much later.
        last = 1 + self.config.clocks.cas_latency + self.config.input_delay + burst - 1
        begun = Signal(last + 2)
        seen = [Signal.like(self.pins, name=f"seen{age}") for age in range(burst + 1)]
        m.d.sync += begun.eq(Cat(transfers.read, begun))
        for later, pins in zip(seen, [self.pins, *seen], strict=False):
            m.d.sync += later.eq(pins)
        answer = transfers.queue.i
        m.d.comb += [
            # Pins and queue are a register apart.
            Assert(answer.valid == begun[last + 1]),
            Assert(~answer.valid | (answer.payload == Cat(reversed(seen[1:])))),
        ]
        return m
