# SPDX-License-Identifier: Apache-2.0
"""Where a run goes on when one of its programs has ended."""

from amaranth import Array, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.layout import layout
from gcnloom_hw.memory.port import ADDRESS_BITS
from gcnloom_spec.isa import LOOPS, WORDS, Opcode

__all__ = ["Repeats", "program_start"]

WORD = WORDS[Opcode.REPEAT]
COUNT_BITS = WORD.fields["target_count"]


def program_start():
    """Layout of where a program lies and how many commands it has."""
    return data.StructLayout({"address": ADDRESS_BITS, "count": 32})


class Repeats(wiring.Component):
    """Execute :class:`gcnloom_spec.commands.Repeat` commands, four cycles after it is `quiet`.

    Attributes
    ----------
    repeats : In(stream.Signature(repeat command))
    quiet : In(1)
        Every effect of every command before is visible.
    start : In(1)
        A run starts: no loop has been passed.
    base : In(32)
        First memory word of the run's program.
    finish : In(1)
        The run is to end when the step advances.
    worse : In(16)
        Judged losses since the smallest.
    advance : Out(1)
        The step is advanced.
    go : Out(1)
        Another program begins.
    program : Out(program_start())
    """

    repeats: stream.Interface

    def __init__(self) -> None:
        super().__init__(
            {
                "repeats": In(stream.Signature(layout(WORD))),
                "quiet": In(1),
                "start": In(1),
                "base": In(ADDRESS_BITS),
                "finish": In(1),
                "worse": In(WORD.fields["patience"]),
                "advance": Out(1),
                "go": Out(1),
                "program": Out(program_start()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        repeat = self.repeats.p
        passes = Array(Signal(WORD.fields["passes"], name=f"passes{loop}") for loop in range(LOOPS))
        done = Signal(WORD.fields["passes"], reset_less=True)
        again, stop = Signal(reset_less=True), Signal(reset_less=True)
        with m.FSM(name="repeats"):
            with m.State("Wait for quiet"):
                m.d.sync += done.eq(passes[repeat.loop] + 1)
                with m.If(self.repeats.valid & self.quiet):
                    m.next = "Compare"
            with m.State("Compare"):
                out_of_patience = (repeat.patience != 0) & (self.worse >= repeat.patience)
                m.d.sync += [
                    again.eq(done < repeat.passes),
                    stop.eq((repeat.advance & self.finish) | out_of_patience),
                ]
                m.next = "Decide"
            with m.State("Decide"):
                m.d.comb += self.advance.eq(repeat.advance)
                m.d.sync += [
                    passes[repeat.loop].eq(Mux(again, done, 0)),
                    self.program.address.eq(
                        self.base + Mux(again, repeat.target, repeat.following)
                    ),
                    self.program.count.eq(
                        Mux(stop, 0, Mux(again, repeat.target_count, repeat.following_count))
                    ),
                ]
                m.next = "Go"
            with m.State("Go"):
                m.d.comb += [self.repeats.ready.eq(1), self.go.eq(self.program.count != 0)]
                m.next = "Wait for quiet"
        with m.If(self.start):
            m.d.sync += [each.eq(0) for each in passes]
        return m
