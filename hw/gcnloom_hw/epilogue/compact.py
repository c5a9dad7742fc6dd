# SPDX-License-Identifier: Apache-2.0
"""The epilogue of a compact accelerator: without a queue, without what runs ahead."""

from amaranth import Cat, EnableInserter, Module, Mux, Signal
from amaranth.lib import data

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.arithmetic.requantise import Requantise
from gcnloom_hw.epilogue.epilogue import TAG, Epilogue
from gcnloom_hw.epilogue.gate import Gate
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["CompactEpilogue"]


class CompactEpilogue(Epilogue):
    """Do what :class:`~gcnloom_hw.epilogue.epilogue.Epilogue` does, with the same ports.

    All of it stops while a vector waits to leave. One emission is inside at a time, so that its
    side information need not travel.

    Parameters
    ----------
    config : AcceleratorConfig
    """

    pipeline = latency = Gate.short_latency + Requantise.short_latency

    def __init__(self, config: AcceleratorConfig) -> None:
        super().__init__(config)

    def elaborate(self, platform):
        m = Module()
        sequence, gate, statistics, stages = self._begin(m)
        moves, taken, active = Signal(), stages[-1], sequence.active
        flag = Signal(data.StructLayout({"emit": 1, "last": 1}))
        m.d.comb += [
            flag.emit.eq(self.sums.payload.emit),
            flag.last.eq(self.sums.payload.last),
            sequence.available.eq(1),
            sequence.drained.eq(~Cat(stages[1:]).any()),
            sequence.leaves.eq(taken),
        ]
        flags = delay_line(m, flag, self.pipeline, name="flags")
        tag = Signal(TAG)
        m.d.comb += [
            *(tag[name].eq(active[name]) for name in TAG.members if name in active.shape().members),
            tag.emit.eq(flags[-1].emit),
            tag.last.eq(flags[-1].last),
            tag.signals.eq(Mux(tag.last, active.signals, 0)),
            tag.address.eq(active.destination_base),
            tag.bank.eq(active.destination_bank),
        ]
        clipped = self._requantise(m, gate, tag, self.vectors.payload.data)
        self._hand_on(m, taken, tag, self.vectors)
        self._count(m, gate, clipped & taken.replicate(self.config.lanes), statistics)
        m.d.comb += [
            statistics.valid.eq(delay_line(m, taken, 1, name="counted", reset_less=False)[-1]),
            statistics.last.eq(delay_line(m, tag.last, 1, name="counted_last")[-1]),
            # The gated sums are folded in a register.
            statistics.early.eq(stages[gate.latency + 1]),
            statistics.early_last.eq(flags[gate.latency + 1].last),
            statistics.tensor.eq(active.tensor),
            self.idle.eq(~sequence.busy & sequence.drained & ~statistics.busy),
        ]
        outer = Module()
        outer.submodules.pipeline = EnableInserter(moves)(m)
        outer.d.comb += [
            moves.eq(~self.vectors.valid | self.vectors.ready),
            sequence.emissions.payload.eq(self.emissions.payload),
            sequence.emissions.valid.eq(self.emissions.valid),
            self.emissions.ready.eq(sequence.emissions.ready & moves),
            self.sums.ready.eq(sequence.issue & moves),
        ]
        return outer
