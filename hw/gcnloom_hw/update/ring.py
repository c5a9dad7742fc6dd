# SPDX-License-Identifier: Apache-2.0
"""Long delays of wide values in LUT memory instead of flip-flops."""

from amaranth import Module, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["Ring"]

SLOTS = 16


class Ring(wiring.Component):
    """A value as it was `cycles` cycles ago.

    Accepts and gives a value every cycle. What leaves before the first value arrives is anything.

    Parameters
    ----------
    shape : ShapeLike
    cycles : int
        2 to 16.

    Attributes
    ----------
    i : In(shape)
    o : Out(shape)
    """

    i: Value
    o: Value

    def __init__(self, shape, *, cycles: int) -> None:
        if not 2 <= cycles <= SLOTS:
            raise ValueError(f"cycles={cycles} is outside 2..{SLOTS}; chain rings or use registers")
        self._shape = shape
        self._cycles = cycles
        super().__init__({"i": In(shape), "o": Out(shape)})

    def elaborate(self, platform):
        m = Module()
        width = Shape.cast(self._shape).width
        m.submodules.slots = slots = Memory(shape=width, depth=SLOTS, init=[])
        write, read = slots.write_port(), slots.read_port(domain="comb")
        written = Signal(range(SLOTS))
        # One of the cycles passes in the output register.
        wanted = Signal(range(SLOTS), init=SLOTS + 1 - self._cycles)
        output = Signal(width, reset_less=True)
        m.d.comb += [
            write.en.eq(1),
            write.addr.eq(written),
            write.data.eq(Value.cast(self.i)),
            read.addr.eq(wanted),
            Value.cast(self.o).eq(output),
        ]
        m.d.sync += [
            written.eq(written + 1),
            wanted.eq(wanted + 1),
            output.eq(read.data),
        ]
        return m
