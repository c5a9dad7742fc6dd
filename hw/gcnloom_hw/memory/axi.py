# SPDX-License-Identifier: Apache-2.0
"""The accelerator's memory port as an AXI4 manager."""

from dataclasses import dataclass

from amaranth import Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.memory.coalesce import Coalesce, burst_request
from gcnloom_hw.memory.pending import PendingWrites
from gcnloom_hw.memory.port import ADDRESS_BITS, write_request
from gcnloom_hw.streams.queue import Queue

__all__ = ["Axi4Adapter", "Axi4Config", "Axi4Signature"]

LONGEST = 16
"""Words of a burst: at the widest 2048 bytes, so that no burst crosses a multiple of 4096."""
UNDER_WAY = 16
"""Write bursts that wait for their response."""
WIDEST = 128
"""Bytes of the widest data bus."""
PAGE = 4096
INCREMENT = 1
CACHE = 0b0011
"""Bufferable, modifiable: a memory."""


@dataclass(frozen=True, kw_only=True)
class Axi4Config:
    """What an AXI4 memory looks like.

    Parameters
    ----------
    memory_bytes : int
        Bytes of the accelerator's word and of the data bus, a power of two up to 128.
    base : int
        Byte address of the accelerator's word 0, a multiple of 4096.
    """

    memory_bytes: int
    base: int = 0

    def __post_init__(self) -> None:
        size = self.memory_bytes
        if not 1 <= size <= WIDEST or size & (size - 1):
            raise ValueError(
                f"memory_bytes={size} is no width of an AXI data bus; try 16, at most {WIDEST}"
            )
        if self.base % PAGE or not 0 <= self.base < 1 << ADDRESS_BITS:
            raise ValueError(f"base={self.base:#x} is no 32-bit multiple of {PAGE}; try 0")


class Axi4Signature(wiring.Signature):
    """An AXI4 manager's signals, as ``m_axi_`` plus the name.

    Transactions are all of one ID and in order. Bursts are incrementing, of whole words.

    Parameters
    ----------
    config : Axi4Config
    """

    def __init__(self, config: Axi4Config) -> None:
        memory_bytes = config.memory_bytes
        address = {
            "id": Out(1),
            "addr": Out(ADDRESS_BITS),
            "len": Out(8),
            "size": Out(3),
            "burst": Out(2),
            "lock": Out(1),
            "cache": Out(4),
            "prot": Out(3),
            "qos": Out(4),
            "valid": Out(1),
            "ready": In(1),
        }
        super().__init__(
            {
                **{f"aw{name}": member for name, member in address.items()},
                "wdata": Out(8 * memory_bytes),
                "wstrb": Out(memory_bytes),
                "wlast": Out(1),
                "wvalid": Out(1),
                "wready": In(1),
                "bid": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
                **{f"ar{name}": member for name, member in address.items()},
                "rid": In(1),
                "rdata": In(8 * memory_bytes),
                "rresp": In(2),
                "rlast": In(1),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class Axi4Adapter(wiring.Component):
    """Serve an accelerator's reads and writes from an AXI4 memory.

    Reads and writes go their own ways, one word a clock each; consecutive ones that come without
    a pause become bursts of up to 16. A read waits as long as a write to its address, or to one
    of the same bucket, has no response yet; no others wait.

    Parameters
    ----------
    config : Axi4Config

    Attributes
    ----------
    addresses : In(stream.Signature(32))
    answers : Out(stream.Signature(8 * memory_bytes))
    writes : In(stream.Signature(write_request(memory_bytes)))
    m_axi : Out(Axi4Signature(config))
    error : Out(1)
        A response said that an access failed; high until reset.
    idle : Out(1)
        Every write accepted has its response.
    """

    addresses: stream.Interface
    answers: stream.Interface
    writes: stream.Interface

    def __init__(self, config: Axi4Config) -> None:
        self._config = config
        memory_bytes = config.memory_bytes
        super().__init__(
            {
                "addresses": In(stream.Signature(ADDRESS_BITS)),
                "answers": Out(stream.Signature(8 * memory_bytes)),
                "writes": In(stream.Signature(write_request(memory_bytes))),
                "m_axi": Out(Axi4Signature(config)),
                "error": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bus = self.m_axi
        m.submodules.pending = pending = PendingWrites(most=UNDER_WAY)
        self._read(m, pending)
        self._write(m, pending)
        m.d.comb += [
            bus.bready.eq(1),
            pending.ends.eq(bus.bvalid),
            self.idle.eq(pending.empty),
        ]
        # OKAY and EXOKAY are 0 and 1.
        failed = (bus.bvalid & bus.bresp[1]) | (bus.rvalid & bus.rready & bus.rresp[1])
        with m.If(failed):
            m.d.sync += self.error.eq(1)
        return m

    def _address(self, m, name, bursts):
        """Offer bursts on an address channel."""
        m.submodules[f"{name}_bursts"] = queue = Queue(burst_request(LONGEST), depth=2)
        wiring.connect(m, bursts=bursts, queue=queue.i)
        size = (self._config.memory_bytes - 1).bit_length()
        values = {
            "valid": queue.o.valid,
            "addr": (queue.o.p.address << size) + self._config.base,
            "len": queue.o.p.more,
            "size": Const(size, 3),
            "burst": Const(INCREMENT, 2),
            "cache": Const(CACHE, 4),
        }
        m.d.comb += [getattr(self.m_axi, name + part).eq(value) for part, value in values.items()]
        m.d.comb += queue.o.ready.eq(getattr(self.m_axi, f"{name}ready"))

    def _read(self, m, pending):
        bus = self.m_axi
        m.submodules.reads = reads = Coalesce(longest=LONGEST)
        go = Signal()
        m.d.comb += [
            pending.read_address.eq(self.addresses.payload),
            go.eq(~pending.pending),
            reads.i.valid.eq(self.addresses.valid & go),
            reads.i.payload.eq(self.addresses.payload),
            self.addresses.ready.eq(reads.i.ready & go),
            self.answers.valid.eq(bus.rvalid),
            self.answers.payload.eq(bus.rdata),
            bus.rready.eq(self.answers.ready),
        ]
        self._address(m, "ar", reads.o)

    def _write(self, m, pending):
        """Send a word when it is known whether it is the last of its burst."""
        bus, size = self.m_axi, self._config.memory_bytes
        m.submodules.writes = writes = Coalesce(longest=LONGEST)
        word = data.StructLayout({"data": 8 * size, "strb": size, "last": 1})
        # A part may wait for a burst's address before it takes the first word, and the address
        # waits for the last word: there is room for all of them.
        m.submodules.words = words = Queue(word, depth=LONGEST)
        held = Signal(word, reset_less=True)
        leaves, taken, room = Signal(), Signal(), Signal()
        gate = stream.Signature(burst_request(LONGEST)).create()
        m.d.comb += [
            room.eq(words.i.ready & ~pending.full),
            gate.valid.eq(writes.o.valid & words.i.ready),
            gate.payload.eq(writes.o.payload),
            writes.o.ready.eq(gate.ready & words.i.ready),
            writes.i.valid.eq(self.writes.valid & room),
            writes.i.payload.eq(self.writes.p.address),
            self.writes.ready.eq(writes.i.ready & room),
            taken.eq(self.writes.valid & self.writes.ready),
            leaves.eq((writes.o.valid & writes.o.ready) | (writes.extends & taken)),
            words.i.valid.eq(leaves),
            words.i.p.data.eq(held.data),
            words.i.p.strb.eq(held.strb),
            words.i.p.last.eq(~writes.extends),
            pending.write.eq(taken),
            pending.write_address.eq(self.writes.p.address),
            pending.begins.eq(taken & ~writes.extends),
            bus.wvalid.eq(words.o.valid),
            bus.wdata.eq(words.o.p.data),
            bus.wstrb.eq(words.o.p.strb),
            bus.wlast.eq(words.o.p.last),
            words.o.ready.eq(bus.wready),
        ]
        with m.If(taken):
            m.d.sync += [held.data.eq(self.writes.p.data), held.strb.eq(self.writes.p.mask)]
        self._address(m, "aw", gate)
