# SPDX-License-Identifier: Apache-2.0
"""FIFOs between streams, in LUT memory."""

from amaranth import Module, Mux, Shape, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["CreditedQueue", "Queue"]

ROW = 16
"""Items of a LUT memory."""
SLICE = 32
"""Bits of an item that share pointers: those of all bits would be far from most of them."""


class Queue(wiring.Component):
    """First in, first out.

    Accepts while fewer than `depth` items wait. Latency 1; one item a cycle.
    `valid` and `ready` come from flip-flops, the payload from the memory: taking an item moves a
    pointer and enables no register as wide as the payload, which would be far from all its bits.

    Parameters
    ----------
    shape : ShapeLike
        Payload of both streams.
    depth : int
        0: the streams are one, without latency. 1: a register; `ready` passes through, so that an
        item can follow another at once.
    registered : int
        So many bits of the payload, the highest, come from flip-flops too.

    Attributes
    ----------
    i : In(stream.Signature(shape))
    o : Out(stream.Signature(shape))
    """

    latency = 1

    i: stream.Interface
    o: stream.Interface

    def __init__(self, shape, *, depth: int, registered: int = 0) -> None:
        self._shape = shape
        self._depth = depth
        self._registered = registered
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        if self._depth < 2:
            return self._register() if self._depth else self._wires()
        m = Module()
        depth = self._depth
        level = Signal(range(depth + 1))
        valid, ready = Signal(), Signal(init=1)
        push, pop = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(ready),
            self.o.valid.eq(valid),
            push.eq(self.i.valid & ready),
            pop.eq(self.o.ready & valid),
        ]
        width = Shape.cast(self._shape).width
        plain = width - self._registered
        for low in range(0, plain, SLICE):
            read = self._store(m, slice(low, min(plain, low + SLICE)), push, pop, ready)
            m.d.comb += Value.cast(self.o.payload)[low : low + len(read)].eq(read)
        if self._registered:
            # What follows is read while the head waits, or taken as it comes if nothing waits.
            bits = slice(plain, width)
            head = Signal(self._registered, reset_less=True)
            follows = self._store(m, bits, push, pop, ready, ahead=1)
            m.d.comb += Value.cast(self.o.payload)[bits].eq(head)
            with m.If(pop | ~valid):
                m.d.sync += head.eq(Mux(level > 1, follows, Value.cast(self.i.payload)[bits]))
        with m.If(push & ~pop):
            m.d.sync += [level.eq(level + 1), valid.eq(1), ready.eq(level != depth - 1)]
        with m.Elif(pop & ~push):
            m.d.sync += [level.eq(level - 1), ready.eq(1), valid.eq(level != 1)]
        return m

    def _wires(self):
        m = Module()
        wiring.connect(m, wiring.flipped(self.i), wiring.flipped(self.o))
        return m

    def _register(self):
        m = Module()
        payload = Signal(Shape.cast(self._shape).width, reset_less=True)
        m.d.comb += [
            self.i.ready.eq(~self.o.valid | self.o.ready),
            Value.cast(self.o.payload).eq(payload),
        ]
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), payload.eq(Value.cast(self.i.payload))]
        return m

    def _store(self, m, bits, push, pop, ready, *, ahead=0):
        """Add a memory for some bits of the payload, with pointers of its own; return its word.

        With `ahead` it is the word that comes so many after the head.
        """
        # With a slot to spare every cycle may write, and no enable reaches all of the memory;
        # where that would take another row of LUT memories, writing stops when full.
        slots = self._depth + bool(self._depth % ROW)
        storage = Memory(shape=bits.stop - bits.start, depth=slots, init=[])
        m.submodules[f"storage{bits.start}"] = storage
        write, read = storage.write_port(), storage.read_port(domain="comb")
        m.d.comb += [
            # What is written before it is valid is written again before it counts.
            write.en.eq(1 if slots > self._depth else ready),
            write.data.eq(Value.cast(self.i.payload)[bits]),
        ]
        for port, moved, first in ((write, push, 0), (read, pop, ahead % slots)):
            address = Signal.like(port.addr, init=first)
            m.d.comb += port.addr.eq(address)
            with m.If(moved):
                m.d.sync += address.eq(address + 1)
                with m.If(address == slots - 1):
                    m.d.sync += address.eq(0)
        return read.data


class CreditedQueue(wiring.Component):
    """A queue behind a pipeline that cannot stall: room is reserved when work is issued.

    Whoever issues work that will end in the queue does so only while `available` is high and
    raises `take` for that cycle; the item may arrive at `i` any number of cycles later and is
    always accepted. One item a cycle if `depth` exceeds the pipeline's latency plus 2.

    Parameters
    ----------
    shape : ShapeLike
    depth : int
    registered : int
        See :class:`Queue`.

    Attributes
    ----------
    take : In(1)
    available : Out(1)
    empty : Out(1)
        All that was issued has left.
    i : In(stream.Signature(shape))
        Always ready.
    o : Out(stream.Signature(shape))
    """

    take: Signal
    available: Signal
    empty: Signal
    i: stream.Interface
    o: stream.Interface

    def __init__(self, shape, *, depth: int, registered: int = 0) -> None:
        self._shape = shape
        self._depth = depth
        self._registered = registered
        super().__init__(
            {
                "take": In(1),
                "available": Out(1),
                "empty": Out(1),
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = Queue(
            self._shape, depth=self._depth, registered=self._registered
        )
        m.d.comb += [
            self.i.ready.eq(1),
            queue.i.valid.eq(self.i.valid),
            Value.cast(queue.i.payload).eq(Value.cast(self.i.payload)),
        ]
        wiring.connect(m, inner=queue.o, outer=wiring.flipped(self.o))

        credits = Signal(range(self._depth + 1), init=self._depth)
        available = Signal(init=1)
        released = Signal()
        m.d.comb += [
            released.eq(self.o.valid & self.o.ready),
            self.available.eq(available),
            self.empty.eq(credits == self._depth),
        ]
        with m.If(self.take & ~released):
            m.d.sync += [credits.eq(credits - 1), available.eq(credits != 1)]
        with m.Elif(released & ~self.take):
            m.d.sync += [credits.eq(credits + 1), available.eq(1)]
        return m
