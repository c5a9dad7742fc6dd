# SPDX-License-Identifier: Apache-2.0
"""Sequencer of the dense engine: turns commands into steps of the systolic array."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.layout import layout
from gcnloom_hw.transform.accumulate import Accumulator, row_tag
from gcnloom_hw.transform.row import ROW_CONTROL
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import WORDS, Mode, Opcode
from gcnloom_spec.words import Word

__all__ = ["TRANSFORM_WORK", "Sequencer", "command_cycles"]

TRANSFORM_WORK = layout(
    Word(
        "transform work",
        {
            name: WORDS[Opcode.TRANSFORM].fields[name]
            for name in (
                "mode",
                "slice",
                "left_base",
                "right_base",
                "sum_base",
                "count",
                "first",
                "last",
                "bank",
            )
        },
    )
)
"""The fields of a transform command that the engine computes with."""

_STEP = data.StructLayout({"weights": 1, "inner": 1, "outer": 1, "fresh": 1, "zero": 1, "lift": 1})

LEAST_BEATS = Accumulator.settle - 2
"""Beats between taking a command and its first read of the sum memory; with the cycle that
takes it, they keep that read away from the last write of the command before."""


def command_cycles(config: AcceleratorConfig, mode: Mode, count: int, last: bool) -> int:
    """Cycles from taking a command to taking the next one, if the output never stalls."""
    match mode:
        case Mode.WEIGHT_STATIONARY:
            return 1 + max(config.rows, LEAST_BEATS) + count
        case Mode.OUTPUT_STATIONARY:
            return 1 + count + (config.rows if last else 0)
        case Mode.PASS:
            return 1 + LEAST_BEATS + count


class Sequencer(wiring.Component):
    """Issue at most one step a cycle, and none that the output has no room for.

    A step's operands are read at `left_address` and `right_address` in the cycle of its issue;
    its `tag` and `blank` follow one cycle later, its `controls` and `slice` two cycles later.
    Commands are executed in order; each has a `count` of at least 1. In a compact accelerator
    none is output-stationary.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    commands : In(stream.Signature(TRANSFORM_WORK))
    room : In(1)
        The output can take one more vector.
    take : Out(1)
        This cycle's step will end in the output.
    left_address, right_address : Out
    blank : Out(1)
        The left operands are zero.
    slice : Out
        Which array-high slice of a left vector to use.
    controls : Out(data.ArrayLayout(ROW_CONTROL, rows))
        By logical row.
    tag : Out(row_tag(config))
    rows, active, stalled : Out(1)
        For the performance counters.
    """

    commands: stream.Interface
    room: Signal
    take: Signal
    left_address: Signal
    right_address: Signal
    blank: Signal
    slice: Signal
    controls: data.View
    tag: data.View
    rows: Signal
    active: Signal
    stalled: Signal

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__(
            {
                "commands": In(stream.Signature(TRANSFORM_WORK)),
                "room": In(1),
                "take": Out(1),
                "left_address": Out(range(max(2, config.left_depth))),
                "right_address": Out(range(max(2, config.right_depth))),
                "blank": Out(1),
                "slice": Out(range(max(2, config.left_slices))),
                "controls": Out(data.ArrayLayout(ROW_CONTROL, config.rows)),
                "tag": Out(row_tag(config)),
                "rows": Out(1),
                "active": Out(1),
                "stalled": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        work = Signal(TRANSFORM_WORK, reset_less=True)
        remaining = Signal(work.count.shape(), reset_less=True)
        sum_address = Signal(self.tag.address.shape(), reset_less=True)
        final_row, fresh = Signal(reset_less=True), Signal(reset_less=True)
        row_leaves = Signal(reset_less=True)
        # What every step asks about its command is a flip-flop each.
        by_weight, by_output, emits, lifts, clears = (
            Signal(name=name, reset_less=True)
            for name in ("by_weight", "by_output", "emits", "lifts", "clears")
        )

        # Bit j of `over`: beat j, the one of logical row j, has been. Bit j of `beat`: it is now.
        over = Signal(max(self.config.rows, LEAST_BEATS))
        beat = Signal.like(over)
        following = (over.eq(over | beat), beat.eq(beat << 1))

        # The step of this cycle and what becomes of its sums.
        step = Signal(_STEP)
        tag = Signal(self.tag.shape())
        issue, executing, leaves = Signal(), Signal(), Signal()
        m.d.comb += [
            tag.address.eq(sum_address),
            tag.bank.eq(work.bank),
            # A step leaves with `emit` or `last`.
            issue.eq(executing & (self.room | ~leaves)),
            self.take.eq(issue & leaves),
            self.rows.eq(issue & (step.inner | step.outer)),
            self.active.eq(issue),
            self.stalled.eq(executing & ~issue),
        ]
        self._decode(m, step, issue=issue, tag=tag, over=over, beat=beat, work=work)

        with m.FSM(name="phase"):
            with m.State("Wait for command"):
                command = self.commands.p
                outer = (command.mode == Mode.OUTPUT_STATIONARY) & (not self.config.compact)
                m.d.comb += self.commands.ready.eq(1)
                m.d.sync += [
                    work.eq(command),
                    by_weight.eq(command.mode == Mode.WEIGHT_STATIONARY),
                    by_output.eq(outer),
                    clears.eq(command.first & (command.mode == Mode.WEIGHT_STATIONARY)),
                    emits.eq(command.last & ~outer),
                    lifts.eq(command.last & outer),
                    remaining.eq(command.count),
                    final_row.eq(command.count == 1),
                    row_leaves.eq(Mux(command.last, ~outer, command.count == 1)),
                    fresh.eq(command.first),
                    sum_address.eq(command.sum_base),
                    self.left_address.eq(command.left_base),
                    self.right_address.eq(command.right_base),
                    over.eq(0),
                    beat.eq(1),
                ]
                with m.If(self.commands.valid):
                    with m.If(outer):
                        m.next = "Stream rows"
                    with m.Else():
                        m.next = "Prepare"
            with m.State("Prepare"):
                m.d.comb += [executing.eq(1), step.weights.eq(by_weight)]
                m.d.sync += [*following, self.right_address.eq(self.right_address + 1)]
                with m.If(Mux(by_weight, beat[-1], beat[LEAST_BEATS - 1])):
                    m.next = "Stream rows"
            with m.State("Stream rows"):
                m.d.comb += [
                    executing.eq(1),
                    leaves.eq(row_leaves),
                    step.inner.eq(by_weight),
                    step.outer.eq(by_output),
                    step.fresh.eq(fresh),
                    step.zero.eq(~by_weight & ~by_output),
                    tag.write.eq(by_weight),
                    tag.clear.eq(clears),
                    tag.emit.eq(emits),
                    tag.last.eq(final_row & ~lifts),
                ]
                with m.If(issue):
                    m.d.sync += [
                        remaining.eq(remaining - 1),
                        # One row ahead, so that no wide comparison delays the issue.
                        final_row.eq(remaining == 2),
                        row_leaves.eq(emits | ((remaining == 2) & ~lifts)),
                        fresh.eq(0),
                        sum_address.eq(sum_address + ~by_output),
                        self.left_address.eq(self.left_address + 1),
                        self.right_address.eq(self.right_address + 1),
                    ]
                    with m.If(final_row):
                        m.next = "Wait for command"
                        with m.If(lifts):
                            m.next = "Lift rows out"
            with m.State("Lift rows out"):
                final_beat = beat[self.config.rows - 1]
                m.d.comb += [
                    executing.eq(1),
                    leaves.eq(1),
                    step.lift.eq(1),
                    tag.write.eq(1),
                    tag.clear.eq(1),
                    tag.emit.eq(1),
                    tag.last.eq(final_beat),
                ]
                with m.If(issue):
                    m.d.sync += [*following, sum_address.eq(sum_address + 1)]
                    with m.If(final_beat):
                        m.next = "Wait for command"
        return m

    def _decode(self, m, step, *, issue, tag, over, beat, work):
        """Register the step once, then spell out what each row does, and register that."""
        issued = Signal(_STEP)
        over_then = Signal.like(over, reset_less=True)
        beat_then = Signal.like(beat, reset_less=True)
        m.d.sync += [issued.eq(0), self.tag.eq(0), over_then.eq(over), beat_then.eq(beat)]
        with m.If(issue):
            m.d.sync += [issued.eq(step), self.tag.eq(tag)]
        m.d.comb += self.blank.eq(issued.lift | issued.zero)
        for k in range(self.config.rows):
            # The row being lifted holds its sums, as do those above, which are yet to come.
            m.d.sync += [
                self.controls[k].capture.eq((issued.weights & beat_then[k]) | issued.outer),
                self.controls[k].enable.eq(
                    issued.inner | issued.outer | issued.zero | (issued.lift & over_then[k])
                ),
                self.controls[k].above.eq(issued.inner | issued.lift),
                self.controls[k].own.eq(issued.outer & ~issued.fresh),
            ]
        slices = delay_line(m, work.slice, 2, name="slice")
        m.d.comb += self.slice.eq(slices[-1])
