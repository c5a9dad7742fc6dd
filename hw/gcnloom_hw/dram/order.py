# SPDX-License-Identifier: Apache-2.0
"""Reads and writes of the accelerator to one order of requests."""

from amaranth import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.dram.config import SdramConfig
from gcnloom_hw.dram.scheduler import sdram_request
from gcnloom_hw.dram.transfers import written_word
from gcnloom_hw.memory.port import ADDRESS_BITS, write_request
from gcnloom_hw.streams.queue import Queue

__all__ = ["Order"]

WAITING = 8
"""Requests that wait to be served."""
TURN = 16
"""Requests of one direction in a row while the other one asks: turning the pins round is slow."""


class Order(wiring.Component):
    """Accept one request a clock; what was accepted first is served first.

    Consecutive rows of an address lie in consecutive banks. Address bits beyond the part are
    ignored.

    Parameters
    ----------
    config : SdramConfig

    Attributes
    ----------
    addresses : In(stream.Signature(ADDRESS_BITS))
    writes : In(stream.Signature(write_request(config.memory_bytes)))
    requests : Out(stream.Signature(sdram_request(config)))
    words : Out(stream.Signature(written_word(config)))
        Those of the writes among the requests, there as soon as their request is.
    """

    addresses: stream.Interface
    writes: stream.Interface

    def __init__(self, config: SdramConfig) -> None:
        self._config = config
        super().__init__(
            {
                "addresses": In(stream.Signature(ADDRESS_BITS)),
                "writes": In(stream.Signature(write_request(config.memory_bytes))),
                "requests": Out(stream.Signature(sdram_request(config))),
                "words": Out(stream.Signature(written_word(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        request = sdram_request(self._config)
        m.submodules.requests = requests = Queue(request, depth=WAITING, registered=request.size)
        m.submodules.words = words = Queue(written_word(self._config), depth=WAITING)
        wiring.connect(m, inner=requests.o, outer=wiring.flipped(self.requests))
        wiring.connect(m, inner=words.o, outer=wiring.flipped(self.words))

        wrote = Signal()
        streak = Signal(range(TURN))
        writes_go = Signal()
        read, write = Signal(), Signal()
        m.d.comb += [
            writes_go.eq(Mux(streak == TURN - 1, ~wrote, wrote)),
            self.addresses.ready.eq(requests.i.ready & ~(self.writes.valid & writes_go)),
            self.writes.ready.eq(
                requests.i.ready & words.i.ready & ~(self.addresses.valid & ~writes_go)
            ),
            read.eq(self.addresses.valid & self.addresses.ready),
            write.eq(self.writes.valid & self.writes.ready),
            requests.i.valid.eq(read | write),
            requests.i.p.write.eq(write),
            words.i.valid.eq(write),
            words.i.p.data.eq(self.writes.p.data),
            words.i.p.mask.eq(self.writes.p.mask),
        ]
        address = Mux(write, self.writes.p.address, self.addresses.payload)
        place = Value.cast(requests.i.payload)[: request.size - 1]
        m.d.comb += place.eq(address)
        with m.If(read | write):
            m.d.sync += [wrote.eq(write), streak.eq(0)]
            with m.If((wrote == write) & (streak != TURN - 1)):
                m.d.sync += streak.eq(streak + 1)
        return m
