# SPDX-License-Identifier: Apache-2.0
"""The scales of tensors: delayed scaling, and the shifts that others look up."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.epilogue.sequence import shift_write
from gcnloom_hw.epilogue.statistics import Statistics
from gcnloom_hw.layout import layout
from gcnloom_hw.memory.scratchpad import Scratchpad
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import TENSOR_BITS, WORDS, Opcode, Rule, Unit
from gcnloom_spec.registers import MOST_SHIFT, STATISTICS

__all__ = ["Scales", "scale_entry"]

EXPONENT = signed(-WORDS[Opcode.SCALE].fields["exponent"])
SHIFT_BITS = MOST_SHIFT.bit_length()
READ = Statistics.latency + 3
"""Cycles from choosing a tensor to its envelope, registers on the way included."""
READING = 3
"""Those in which scales are read meanwhile."""


def scale_entry():
    """Layout of a tensor's scale."""
    return data.StructLayout({"exponent": EXPONENT, "wanted": EXPONENT, "shift": SHIFT_BITS})


class Scales(wiring.Component):
    """Execute :class:`gcnloom_spec.commands.Scale` commands; look up shifts for other commands.

    A FIT takes 15 cycles, other rules and lookups less. The table outlives resets.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    commands : In(stream.Signature(scale command))
    lookups : In(stream.Signature of two tensors)
        Taken when `shift0` and `shift1` are theirs.
    shift0, shift1 : Out(6)
    written : Out(shift_write())
    statistic : In(7)
        Tensor whose scale the host reads.
    entry : Out(scale_entry())
        While nothing else is read.
    chosen : Out(7)
        Tensor whose envelope is wanted, `statistic` if none is.
    envelope : In(sum_width)
        Of the tensor `chosen`, at most :data:`READ` cycles later.
    forget : Out(1)
        The envelope of that tensor is to be zeroed.
    signals : Out(len(Unit))
    idle : Out(1)
    """

    commands: stream.Interface
    lookups: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        tensors = data.ArrayLayout(TENSOR_BITS, 2)
        super().__init__(
            {
                "commands": In(stream.Signature(layout(WORDS[Opcode.SCALE]))),
                "lookups": In(stream.Signature(tensors)),
                "shift0": Out(SHIFT_BITS),
                "shift1": Out(SHIFT_BITS),
                "written": Out(shift_write()),
                "statistic": In(TENSOR_BITS),
                "entry": Out(scale_entry()),
                "chosen": Out(TENSOR_BITS),
                "envelope": In(config.sum_width),
                "forget": Out(1),
                "signals": Out(len(Unit)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.table = table = Scratchpad(width=scale_entry().size, depth=STATISTICS)
        read = scale_entry()(table.read_data)
        command = self.commands.p
        new = Signal(scale_entry(), reset_less=True)
        fitting = self._fits(m)
        reading = Signal()
        m.d.comb += [
            self.chosen.eq(Mux(reading, command.tensor, self.statistic)),
            table.write_address.eq(command.tensor),
            table.write_data.eq(new.as_value()),
            table.read_address.eq(self.statistic),
        ]
        m.d.sync += [self.written.enable.eq(0), self.entry.eq(read)]
        with m.FSM(name="scales") as fsm:
            with m.State("Wait"):
                with m.If(self.lookups.valid):
                    m.d.comb += table.read_address.eq(self.lookups.p[0])
                    m.next = "Look up the second"
                with m.Elif(self.commands.valid):
                    m.d.comb += table.read_address.eq(command.tensor)
                    m.next = "Read the left one"
            self._look_up(m, table, read)
            self._read(m, table, read, new)
            self._fit(m, new, *fitting)
            with m.State("Write"):
                m.d.comb += [
                    table.write_enable.eq(1),
                    self.commands.ready.eq(1),
                    self.signals.eq(command.signals),
                ]
                m.d.sync += [
                    self.written.enable.eq(1),
                    self.written.tensor.eq(command.tensor),
                    self.written.shift.eq(new.shift),
                ]
                m.next = "Settle"
            with m.State("Settle"):
                # What is read in the cycle of a write may be anything.
                m.next = "Wait"
        m.d.comb += [
            reading.eq(self.commands.valid & ~fsm.ongoing("Settle")),
            self.idle.eq(fsm.ongoing("Wait") & ~self.commands.valid & ~self.written.enable),
        ]
        return m

    def _look_up(self, m, table, read):
        with m.State("Look up the second"):
            m.d.comb += table.read_address.eq(self.lookups.p[1])
            m.d.sync += self.shift0.eq(read.shift)
            m.next = "Look up"
        with m.State("Look up"):
            m.d.sync += self.shift1.eq(read.shift)
            m.next = "Give"
        with m.State("Give"):
            m.d.comb += self.lookups.ready.eq(1)
            m.next = "Settle"

    def _read(self, m, table, read, new):
        """Read three scales; those of SAME and SET are known then."""
        command = self.commands.p
        self._own = own = Signal(scale_entry(), reset_less=True)
        self._sums = sums = Signal(signed(EXPONENT.width + 1), reset_less=True)
        left = Signal(EXPONENT, reset_less=True)
        with m.State("Read the left one"):
            m.d.comb += table.read_address.eq(command.left)
            m.d.sync += own.eq(read)
            m.next = "Read the right one"
        with m.State("Read the right one"):
            m.d.comb += table.read_address.eq(command.right)
            m.d.sync += [left.eq(read.exponent), new.eq(read)]
            m.next = "Choose"
        with m.State("Choose"):
            m.d.sync += sums.eq(left + read.exponent)
            m.next = "Write"
            with m.Switch(command.rule):
                with m.Case(Rule.FIT):
                    m.next = "Wait for envelope"
                with m.Case(Rule.SET):
                    m.d.sync += [
                        new.exponent.eq(command.exponent),
                        new.wanted.eq(command.wanted),
                        new.shift.eq(0),
                    ]

    def _fit(self, m, new, found, fits):
        """Want what fits the last results; find the shift to it."""
        own, sums = self._own, self._sums
        wait = Signal(range(READ - READING))
        unshifted = Signal(signed(EXPONENT.width + 2), reset_less=True)
        apart = Signal(signed(EXPONENT.width + 3), reset_less=True)
        with m.State("Wait for envelope"):
            m.d.sync += [wait.eq(wait + 1), unshifted.eq(own.exponent - own.shift)]
            m.d.sync += new.wanted.eq(own.wanted)
            with m.If(wait == READ - READING - 1):
                m.d.sync += wait.eq(0)
                m.d.comb += self.forget.eq(1)
                m.next = "Want"
        with m.State("Want"):
            with m.If(found):
                m.d.sync += new.wanted.eq(unshifted + fits)
            m.next = "Compare"
        with m.State("Compare"):
            m.d.sync += apart.eq(new.wanted - sums)
            m.next = "Limit"
        with m.State("Limit"):
            with m.If(apart < 0):
                m.d.sync += new.shift.eq(0)
            with m.Elif(apart > MOST_SHIFT):
                m.d.sync += new.shift.eq(MOST_SHIFT)
            with m.Else():
                m.d.sync += new.shift.eq(apart)
            m.next = "Add"
        with m.State("Add"):
            m.d.sync += new.exponent.eq(sums + new.shift)
            m.next = "Write"

    def _fits(self, m):
        """Whether the envelope has a bit, and the shift by which it fits an operand."""
        width, bits = self.config.operand_width, len(self.envelope)
        found, fits = Signal(reset_less=True), Signal(range(bits + 1), reset_less=True)
        m.d.sync += [found.eq(self.envelope.any()), fits.eq(0)]
        for place in range(width - 1, bits):
            with m.If(self.envelope[place]):
                m.d.sync += fits.eq(place + 2 - width)
        return found, fits
