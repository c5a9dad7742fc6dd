# SPDX-License-Identifier: Apache-2.0
"""The dense engine: operand memories, systolic array and sum memory under one sequencer."""

from amaranth import EnableInserter, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.layout import Shapes
from gcnloom_hw.streams.queue import CreditedQueue, Queue
from gcnloom_hw.streams.skid import Skid
from gcnloom_hw.transform.accumulate import Accumulator
from gcnloom_hw.transform.array import SystolicArray, array_latency
from gcnloom_hw.transform.control import TRANSFORM_WORK, Sequencer, command_cycles
from gcnloom_hw.transform.operands import OperandMemory
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Mode

__all__ = ["TransformEngine"]

FLAGS = 2
"""Bits of a vector of sums that say what it is: `emit` and `last`."""


class TransformEngine(wiring.Component):
    """Execute :class:`gcnloom_spec.commands.Transform` on `rows` by `columns` elements.

    Begins a command every :meth:`cycles` cycles, while the next one may wait; produces its vectors
    in order, then the next command's. The last vector is at `sums` ``cycles(...) - 1 +``
    :attr:`latency` cycles after the command was begun. A command that emits nothing produces one
    vector with `last` alone, once its sums are stored. Throughput one row a cycle. Sums wrap modulo
    ``2 ** sum_width``.

    In a compact accelerator everything but its memories' writes stops while a vector waits to
    leave, and there are no output-stationary products.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    commands : In(stream.Signature(TRANSFORM_WORK))
        `count` is at least 1.
    left_writes, right_writes : In(stream.Signature(Shapes.vector_write))
        Always ready; seen by commands taken in the next cycle or later.
    sums : Out(stream.Signature(Shapes.engine_sums))
    rows : Out(1)
        A row enters the array (passes excluded).
    active, stalled : Out(1)
        Executing and making progress; executing while the output has no room.
    idle : Out(1)
        Every command taken has handed out its last vector.
    latency : int
        Cycles from a step's issue to its vector at `sums`.
    """

    commands: stream.Interface
    left_writes: stream.Interface
    right_writes: stream.Interface
    sums: stream.Interface
    rows: Signal
    active: Signal
    stalled: Signal
    idle: Signal

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        # From issue to the array's sums: reading operands, then the array.
        self._lead = OperandMemory.latency + array_latency(config)
        if config.compact:
            self.latency = self._pipeline = self._lead + Accumulator.short_latency
        else:
            self._pipeline = self._lead + Accumulator.latency
            self.latency = self._pipeline + Queue.latency
        shapes = Shapes(config)
        super().__init__(
            {
                "commands": In(stream.Signature(TRANSFORM_WORK)),
                "left_writes": In(stream.Signature(shapes.vector_write)),
                "right_writes": In(stream.Signature(shapes.vector_write)),
                "sums": Out(stream.Signature(shapes.engine_sums)),
                "rows": Out(1),
                "active": Out(1),
                "stalled": Out(1),
                "idle": Out(1),
            }
        )

    def cycles(self, mode: Mode, count: int, last: bool) -> int:
        """Cycles from taking a command to taking the next one, if `sums` never stalls."""
        return command_cycles(self.config, mode, count, last)

    def elaborate(self, platform):
        m = Module()
        config = self.config
        moves = Signal(init=1)
        stopping = EnableInserter(moves) if config.compact else _unchanged
        sequencer, array = Sequencer(config), SystolicArray(config)
        # The tag is registered once, so it is one cycle nearer to the sums than the issue.
        accumulator = Accumulator(config, lead=self._lead - 1)
        m.submodules.sequencer = stopping(sequencer)
        m.submodules.array = stopping(array)
        m.submodules.accumulator = stopping(accumulator)
        m.submodules.left = left = OperandMemory(
            config, banks=config.left_banks, depth=config.left_depth
        )
        m.submodules.right = right = OperandMemory(
            config, banks=config.right_banks, depth=config.right_depth
        )
        if config.compact:
            self._stop(m, moves, sequencer, array, accumulator, left, right)
        else:
            self._buffer(m, sequencer, accumulator)

        wiring.connect(m, outer=wiring.flipped(self.left_writes), inner=left.writes)
        wiring.connect(m, outer=wiring.flipped(self.right_writes), inner=right.writes)

        slices = data.ArrayLayout(array.lefts.shape(), config.left_slices)
        m.d.comb += [
            left.read_address.eq(sequencer.left_address),
            left.blank.eq(sequencer.blank),
            right.read_address.eq(sequencer.right_address),
            array.lefts.eq(data.View(slices, Value.cast(left.row))[sequencer.slice]),
            array.rights.eq(right.row),
            array.controls.eq(sequencer.controls),
            accumulator.tag.eq(sequencer.tag),
            accumulator.sums.eq(array.sums),
        ]
        self._watch(m)
        return m

    def _buffer(self, m, sequencer, accumulator):
        """Put a queue behind the pipeline, and issue only what it has room for."""
        m.submodules.queue = queue = CreditedQueue(
            self.sums.payload.shape(), depth=self._pipeline + 4, registered=FLAGS
        )
        # Whoever gives commands is far from what decides that the next one may come.
        m.submodules.following = following = Skid(TRANSFORM_WORK)
        wiring.connect(m, outer=wiring.flipped(self.commands), inner=following.i)
        wiring.connect(m, following=following.o, sequencer=sequencer.commands)
        wiring.connect(m, accumulator=accumulator.o, queue=queue.i)
        wiring.connect(m, inner=queue.o, outer=wiring.flipped(self.sums))
        m.d.comb += [
            sequencer.room.eq(queue.available),
            queue.take.eq(sequencer.take),
            self.rows.eq(sequencer.rows),
            self.active.eq(sequencer.active),
            self.stalled.eq(sequencer.stalled),
        ]

    def _stop(self, m, moves, sequencer, array, accumulator, left, right):
        """Stop sequencer and pipeline while a vector waits to leave."""
        m.d.comb += [
            moves.eq(~self.sums.valid | self.sums.ready),
            array.moves.eq(moves),
            left.enable.eq(moves),
            right.enable.eq(moves),
            sequencer.room.eq(1),
            sequencer.commands.valid.eq(self.commands.valid),
            sequencer.commands.payload.eq(self.commands.payload),
            self.commands.ready.eq(sequencer.commands.ready & moves),
            self.sums.valid.eq(accumulator.o.valid),
            self.sums.payload.eq(accumulator.o.payload),
            self.rows.eq(sequencer.rows & moves),
            self.active.eq(sequencer.active & moves),
            self.stalled.eq(sequencer.active & ~moves),
        ]

    def _watch(self, m):
        """Count the commands in flight: each one waits for, or holds, a place in the queue."""
        in_flight = Signal(range(self._pipeline + 8))
        taken, finished = Signal(), Signal()
        m.d.comb += [
            taken.eq(self.commands.valid & self.commands.ready),
            finished.eq(self.sums.valid & self.sums.ready & self.sums.p.last),
            self.idle.eq(in_flight == 0),
        ]
        m.d.sync += in_flight.eq(in_flight + taken - finished)


def _unchanged(part):
    return part
