# SPDX-License-Identifier: Apache-2.0
"""The SDRAM controller: the accelerator's memory port to the pins of an SDR SDRAM."""

from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.dram.config import SdramConfig
from gcnloom_hw.dram.order import Order
from gcnloom_hw.dram.pins import SdramPins
from gcnloom_hw.dram.scheduler import Scheduler
from gcnloom_hw.dram.transfers import Transfers
from gcnloom_hw.memory.port import ADDRESS_BITS, write_request
from gcnloom_hw.streams.queue import Queue

__all__ = ["SdramController"]


class SdramController(wiring.Component):
    """Serve an accelerator's reads and writes from an SDR SDRAM, in the order of accepting them.

    Accepts one request a clock while fewer than ten wait. Words of one row follow each other
    without a gap, as many transfers a clock as there are clocks. An answer comes
    ``7 + cas_latency + transfers - 1 + input_delay`` clocks after its request where the row is
    open and nothing waits. Nothing is answered before the part is started; that is once after
    reset.

    Parameters
    ----------
    config : SdramConfig

    Attributes
    ----------
    addresses : In(stream.Signature(32))
        Reads, one word each.
    answers : Out(stream.Signature(8 * memory_bytes))
        The words, in order of asking.
    writes : In(stream.Signature(write_request(memory_bytes)))
        A read asked after a write was accepted sees it.
    pins : Out(SdramPins(config))
        All from flip-flops; `dq_i` goes to flip-flops.
    """

    addresses: stream.Interface
    answers: stream.Interface
    writes: stream.Interface

    def __init__(self, config: SdramConfig) -> None:
        self._config = config
        super().__init__(
            {
                "addresses": In(stream.Signature(ADDRESS_BITS)),
                "answers": Out(stream.Signature(8 * config.memory_bytes)),
                "writes": In(stream.Signature(write_request(config.memory_bytes))),
                "pins": Out(SdramPins(config)),
            }
        )
        self.order = Order(config)
        self.scheduler = Scheduler(config)
        self.transfers = Transfers(config)

    def elaborate(self, platform):
        m = Module()
        m.submodules.order = order = self.order
        m.submodules.scheduler = scheduler = self.scheduler
        m.submodules.transfers = transfers = self.transfers
        outer = wiring.flipped(self)
        wiring.connect(m, outer=outer.addresses, inner=order.addresses)
        wiring.connect(m, outer=outer.writes, inner=order.writes)
        wiring.connect(m, order=order.requests, scheduler=scheduler.requests)
        # Pins and accelerator are far from each other. A word has arrived when the scheduler, which
        # takes as long to consider its request, moves it.
        m.submodules.words = words = Queue(order.words.payload.shape(), depth=2)
        wiring.connect(m, order=order.words, words=words.i)
        wiring.connect(m, words=words.o, transfers=transfers.words)
        wiring.connect(m, inner=transfers.answers, outer=outer.answers)
        command, pins = scheduler.command, self.pins
        m.d.sync += pins.clk_en.eq(1)
        m.d.comb += [
            transfers.read.eq(scheduler.read),
            transfers.write.eq(scheduler.write),
            transfers.take.eq(scheduler.take),
            scheduler.available.eq(transfers.available),
            transfers.masked.eq(~scheduler.started),
            transfers.dq_i.eq(pins.dq_i),
            *(getattr(pins, name).eq(getattr(command, name)) for name in command.shape().members),
            *(
                getattr(pins, name).eq(getattr(transfers, name))
                for name in ("dqm", "dq_o", "dq_oe")
            ),
        ]
        return m
