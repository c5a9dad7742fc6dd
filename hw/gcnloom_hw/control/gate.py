# SPDX-License-Identifier: Apache-2.0
"""A unit's command queue and the gate that waits for tokens."""

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.streams.queue import Queue
from gcnloom_spec.isa import Unit

__all__ = ["ALLOWED", "Gate"]

ALLOWED = 2
"""Commands that have their tokens and wait for their unit, where there is a queue."""


class Gate(wiring.Component):
    """Queue commands; let the oldest pass when every token it waits for is there.

    With a depth of 1 there is no memory: one command is kept in a register, until its unit takes
    it. Else so many wait for tokens, and :data:`ALLOWED` more for the unit.

    Parameters
    ----------
    shape : data.StructLayout
        A command of the unit; has a field `waits`.
    depth : int

    Attributes
    ----------
    i, o : stream of commands
        `waits` is zero in what leaves.
    available : In(len(Unit))
        Tokens that wait, by giving unit.
    take : Out(len(Unit))
        Tokens taken in this cycle.
    waiting : Out(len(Unit))
        One-hot: the unit whose token the oldest command lacks (the lowest of them).
    idle : Out(1)
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, shape, *, depth: int) -> None:
        self._shape = shape
        self._depth = depth
        units = len(Unit)
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "available": In(units),
                "take": Out(units),
                "waiting": Out(units),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # What the oldest command waits for is in registers, so that nothing else decides.
        waits, read = Signal(len(Unit)), Signal()
        missing, passes = Signal(len(Unit)), Signal()
        m.d.comb += missing.eq(waits & ~self.available)
        with m.If(passes):
            m.d.comb += self.take.eq(waits)
        with m.If(read):
            m.d.comb += self.waiting.eq(missing & -missing)
        if self._depth == 1:
            self._keep(m, waits, read, missing, passes)
        else:
            self._queue(m, waits, read, missing, passes)
        return m

    def _keep(self, m, waits, read, missing, passes):
        """Keep one command."""
        command, full, allowed = Signal(self._shape, reset_less=True), Signal(), Signal()
        m.d.comb += [
            read.eq(full & ~allowed),
            passes.eq(read & (missing == 0)),
            self.i.ready.eq(~full),
            self.o.valid.eq(allowed),
            self.idle.eq(~full),
            *(self.o.p[name].eq(command[name]) for name in self._kept()),
        ]
        with m.If(~full):
            m.d.sync += [command.eq(self.i.payload), waits.eq(self.i.p.waits)]
            m.d.sync += full.eq(self.i.valid)
        with m.Elif(passes):
            m.d.sync += allowed.eq(1)
        with m.Elif(self.o.ready & allowed):
            m.d.sync += [allowed.eq(0), full.eq(0)]

    def _queue(self, m, waits, read, missing, passes):
        """Queue what commands wait for, and beside it the rest, which stays behind the gate."""
        m.submodules.tokens = tokens = Queue(len(Unit), depth=self._depth)
        rest = Cat(self.i.p[name] for name in self._kept())
        m.submodules.commands = commands = Queue(len(rest), depth=self._depth + ALLOWED)
        allowed = Signal(range(ALLOWED + 1))
        some, room = Signal(), Signal(init=1)
        leaves = self.o.ready & some
        m.d.comb += [
            tokens.i.payload.eq(self.i.p.waits),
            tokens.i.valid.eq(self.i.valid),
            self.i.ready.eq(tokens.i.ready),
            # There is room for it: in all as much as before and behind the gate.
            commands.i.valid.eq(self.i.valid & tokens.i.ready),
            commands.i.payload.eq(rest),
            Cat(self.o.p[name] for name in self._kept()).eq(commands.o.payload),
            self.o.valid.eq(some),
            commands.o.ready.eq(leaves),
            passes.eq(read & (missing == 0) & room),
            tokens.o.ready.eq(passes),
            self.idle.eq(~tokens.o.valid & ~some),
        ]
        with m.If(passes):
            m.d.sync += read.eq(0)
        with m.Elif(~read):
            m.d.sync += [waits.eq(tokens.o.payload), read.eq(tokens.o.valid)]
        with m.If(passes & ~leaves):
            m.d.sync += [allowed.eq(allowed + 1), some.eq(1), room.eq(allowed != ALLOWED - 1)]
        with m.Elif(leaves & ~passes):
            m.d.sync += [allowed.eq(allowed - 1), some.eq(allowed != 1), room.eq(1)]

    def _kept(self):
        return [name for name in self._shape.members if name != "waits"]
