# SPDX-License-Identifier: Apache-2.0
"""The order of steps: what is read and drawn ahead, and when a slice of a vector is stepped."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.requantise import FINE_BITS, shifted
from gcnloom_hw.epilogue.random_bytes import REQUEST
from gcnloom_hw.layout import layout
from gcnloom_hw.streams.queue import Queue
from gcnloom_hw.streams.slices import count_slices
from gcnloom_hw.update.masters import Masters
from gcnloom_hw.update.results import Results, operands_slice
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import WORDS, Opcode
from gcnloom_spec.registers import MOST_SHIFT

__all__ = ["StepOrder"]

WAITING = 2
"""Commands that have been read ahead for and have not begun."""
COMMAND = layout(WORDS[Opcode.STEP])
KEPT = (
    "signals", "source", "count", "address", "operands", "offset", "tensor", "gradient",
    "momentum", "decay", "decay_shift", "rate", "rate_shift", "halving", "stochastic",
)  # fmt: skip
"""What is needed of a command after its words have been asked for."""


class StepOrder(wiring.Component):
    """Take steps one after the other and issue a slice of a vector a cycle for each.

    A step's words and random bytes are asked for when it is accepted, while those before it may
    still run. Four cycles without an issue lie between two steps.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    commands : In(stream.Signature(StepOrder.command))
    step : In(32)
    transfers : Out(stream.Signature(Masters.transfer))
    draws : Out(stream.Signature(REQUEST))
    targets : Out(stream.Signature(Results.target))
    begin : Out(1)
        The active step's gradients can be taken from now on.
    sums_valid, sums_last, masters_valid, randoms_valid, available : In(1)
        Gradients of a slice wait; they are the step's last; weights and momenta wait; random bytes
        wait; the pipeline has room.
    issue : Out(1)
        The slice is stepped in this cycle.
    issue_randoms : Out(1)
        So are its random bytes used.
    active : Out(StepOrder.active_step)
        The step it belongs to, with the rate's shift as it is now. `slot` is the place of the
        vector's operands in their word.
    busy : Out(1)
        A step is active.
    idle : Out(1)
        No step is inside.
    """

    command = data.StructLayout({"command": COMMAND, "shift0": 6, "shift1": 6})
    waiting_step = data.StructLayout(
        {
            **{name: COMMAND.members[name] for name in KEPT},
            "sum_shift": 6,
            "operand_shift": 6,
        }
    )

    commands: stream.Interface
    transfers: stream.Interface
    draws: stream.Interface
    targets: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        slot = operands_slice(config).members["slot"]
        self.active_step = data.StructLayout({**self.waiting_step.members, "slot": slot})
        super().__init__(
            {
                "commands": In(stream.Signature(self.command)),
                "step": In(32),
                "transfers": Out(stream.Signature(Masters.transfer)),
                "draws": Out(stream.Signature(REQUEST)),
                "targets": Out(stream.Signature(Results.target)),
                "begin": Out(1),
                "sums_valid": In(1),
                "sums_last": In(1),
                "masters_valid": In(1),
                "randoms_valid": In(1),
                "available": In(1),
                "issue": Out(1),
                "issue_randoms": Out(1),
                "active": Out(self.active_step),
                "busy": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        waiting = self._accept(m)
        active, running, drawing = self.active, Signal(), Signal()
        ready = self.sums_valid & self.masters_valid & self.available
        m.d.comb += [
            self.issue.eq(running & ready & (self.randoms_valid | ~drawing)),
            self.issue_randoms.eq(drawing & ready & self.randoms_valid),
            self.targets.p.masters.eq(active.address),
            self.targets.p.operands.eq(active.operands),
            self.targets.p.signals.eq(active.signals),
            self.idle.eq(~self.commands.valid & ~waiting.valid & ~self.busy),
        ]
        slots = self.config.vector.items_per_word
        passes = (slots - 1).bit_length()
        elapsed = Signal(32, reset_less=True)
        vector_last = count_slices(m, self.config.update_slices, self.issue)[-1]
        with m.If(self.issue & vector_last):
            m.d.sync += active.slot.eq((active.slot + 1)[:passes])

        with m.FSM(name="order") as fsm:
            with m.State("Wait for step"):
                m.d.comb += waiting.ready.eq(1)
                m.d.sync += [active[name].eq(waiting.p[name]) for name in self.waiting_step.members]
                with m.If(waiting.valid):
                    m.next = "Halve by bytes"
            with m.State("Halve by bytes"):
                m.d.comb += self.begin.eq(1)
                m.d.sync += [
                    elapsed.eq(shifted(self.step, active.halving[FINE_BITS:], 8)),
                    active.operands.eq(active.operands + (active.offset >> passes)),
                    active.slot.eq(active.offset[:passes]),
                ]
                m.next = "Halve by bits"
            with m.State("Halve by bits"):
                halvings = shifted(elapsed, active.halving[:FINE_BITS], 1)
                m.d.sync += elapsed.eq(Mux(active.halving == 0, 0, halvings))
                m.next = "Slow down"
            with m.State("Slow down"):
                m.d.comb += self.targets.valid.eq(1)
                with m.If(self.targets.ready):
                    m.d.sync += [
                        active.rate_shift.eq(_slower(active.rate_shift, elapsed)),
                        running.eq(1),
                        drawing.eq(active.stochastic),
                    ]
                    m.next = "Run"
            with m.State("Run"), m.If(self.issue & self.sums_last):
                m.d.sync += [running.eq(0), drawing.eq(0)]
                m.next = "Wait for step"
        m.d.comb += self.busy.eq(~fsm.ongoing("Wait for step"))
        return m

    def _accept(self, m):
        """Accept a command when its words and its random bytes can be asked for."""
        m.submodules.waiting = waiting = Queue(self.waiting_step, depth=WAITING)
        m.submodules.drawing = drawing = Queue(REQUEST, depth=WAITING)
        wiring.connect(m, inner=drawing.o, outer=wiring.flipped(self.draws))
        command, step, draw = self.commands.p.command, waiting.i.p, drawing.i.p
        accept = Signal()
        m.d.comb += [
            self.commands.ready.eq(waiting.i.ready & drawing.i.ready & self.transfers.ready),
            accept.eq(self.commands.valid & self.commands.ready),
            waiting.i.valid.eq(accept),
            self.transfers.valid.eq(accept),
            drawing.i.valid.eq(accept & command.stochastic),
            *(step[name].eq(command[name]) for name in KEPT),
            step.sum_shift.eq(self.commands.p.shift0),
            step.operand_shift.eq(self.commands.p.shift1),
            self.transfers.p.address.eq(command.address),
            self.transfers.p.count.eq(command.count),
            draw.vectors.eq(command.count),
            *(draw[name].eq(command[name]) for name in ("tensor", "row", "feature")),
        ]
        return waiting.o


def _slower(rate_shift, halvings):
    """Shift of the rate after so many halvings."""
    small = halvings[: len(rate_shift)]
    slower = rate_shift + small
    beyond = halvings[len(small) :].any() | slower[-1]
    return Mux(beyond, MOST_SHIFT, slower)
