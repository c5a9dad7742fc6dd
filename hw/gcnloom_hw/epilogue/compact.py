# SPDX-License-Identifier: Apache-2.0
"""The epilogue of a compact accelerator: without a queue, without what runs ahead."""

from functools import reduce
from operator import or_

from amaranth import Cat, EnableInserter, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.arithmetic.requantise import Requantise
from gcnloom_hw.epilogue.compact_statistics import CompactStatistics
from gcnloom_hw.epilogue.epilogue import epilogue_output
from gcnloom_hw.layout import Shapes
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.registers import STATISTICS

__all__ = ["CompactEpilogue"]

GATED = 1
"""Cycles through the gate."""
REST = 3
"""Cycles in which the statistics of one emission are merged before the next begins."""


class CompactEpilogue(wiring.Component):
    """Apply each command's emission to its sums, as ``gcnloom_spec.commands.Emission`` defines.

    Accepts one vector a cycle within an emission. All of it stops while a vector waits to leave.
    One emission is inside at a time, so that its side information need not travel: the next is
    accepted when the last vector has left. ReLU is all that stops sums, and rounding is to
    nearest. Vectors leave in order, :attr:`latency` cycles after they are taken at the earliest.
    Results saturate.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    emissions : In(stream.Signature(Shapes.emission))
    sums : In(stream.Signature(Shapes.engine_sums))
    vectors : Out(stream.Signature(epilogue_output(config)))
    seed, step : In(32)
        Not looked at: nothing is drawn.
    clear : In(1)
        Zero the statistics; only while `idle`. Emissions wait until it is done.
    statistic : In(7)
        Tensor whose statistics are read; they follow a cycle later while `idle`.
    envelope : Out(sum_width)
    saturations : Out(32)
    idle : Out(1)
        Nothing is inside: no emission, no vector, no statistics still to be merged.
    """

    latency = GATED + Requantise.short_latency

    emissions: stream.Interface
    sums: stream.Interface
    vectors: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        shapes = Shapes(config)
        self._emission = shapes.emission
        super().__init__(
            {
                "emissions": In(stream.Signature(shapes.emission)),
                "sums": In(stream.Signature(shapes.engine_sums)),
                "vectors": Out(stream.Signature(epilogue_output(config))),
                "seed": In(32),
                "step": In(32),
                "clear": In(1),
                "statistic": In(range(STATISTICS)),
                "envelope": Out(config.sum_width),
                "saturations": Out(32),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        active = Signal(self._emission, reset_less=True)
        statistics = CompactStatistics(self.config)
        m.submodules.statistics = statistics
        issue = Signal()
        stages = delay_line(m, issue, self.latency, name="taken", reset_less=False)
        taken, drained = stages[-1], ~Cat(stages[1:]).any()
        accepts, busy = self._sequence(m, active, issue, drained & ~statistics.clearing, taken)

        flag = Signal(data.StructLayout({"emit": 1, "last": 1}))
        m.d.comb += [flag.emit.eq(self.sums.p.emit), flag.last.eq(self.sums.p.last)]
        flags = delay_line(m, flag, self.latency, name="flags")
        gated = self._gate(m, active)
        clipped = self._requantise(m, active, gated)
        self._hand_on(m, active, taken, flags[-1])

        folded = Signal(self.config.sum_width, reset_less=True)
        folds = [total.as_unsigned() ^ total[-1].replicate(len(total)) for total in gated]
        m.d.sync += folded.eq(reduce(or_, folds))
        m.d.comb += [
            statistics.folded_valid.eq(stages[GATED + 1]),
            statistics.folded_last.eq(flags[GATED + 1].last),
            statistics.envelope.eq(folded),
            statistics.valid.eq(taken),
            statistics.last.eq(flags[-1].last),
            statistics.saturations.eq(sum(clipped)),
            statistics.tensor.eq(active.tensor),
            statistics.clear.eq(self.clear),
            statistics.statistic.eq(self.statistic),
            self.envelope.eq(statistics.read_envelope),
            self.saturations.eq(statistics.read_saturations),
            self.idle.eq(~busy & drained & ~statistics.busy),
        ]
        moves = Signal()
        outer = Module()
        outer.submodules.pipeline = EnableInserter(moves)(m)
        outer.d.comb += [
            moves.eq(~self.vectors.valid | self.vectors.ready),
            self.emissions.ready.eq(accepts & moves),
            self.sums.ready.eq(issue & moves),
        ]
        return outer

    def _sequence(self, m, active, issue, free, leaves):
        """Take emissions one by one; return whether one is accepted, and whether one is inside."""
        accepts, running, resting = Signal(), Signal(), Signal(range(REST + 1))
        m.d.comb += [
            accepts.eq(~running & (resting == 0) & free & ~self.clear & self.emissions.valid),
            issue.eq(running & (resting == 0) & self.sums.valid),
        ]
        with m.If(resting != 0):
            m.d.sync += resting.eq(resting - 1)
        with m.If(accepts):
            emission = self.emissions.p
            m.d.sync += [active.eq(emission), running.eq(1), resting.eq(REST)]
            m.d.sync += active.shift.eq(Mux(emission.raw, 0, emission.shift))
        with m.Elif(leaves):
            m.d.sync += active.destination_base.eq(active.destination_base + 1)
        with m.If(issue & self.sums.p.last):
            m.d.sync += running.eq(0)
        return accepts, running

    def _gate(self, m, active):
        """Zero what ReLU stops, and what does not count."""
        gated = Signal(self.sums.p.sums.shape(), reset_less=True)
        for total, before in zip(gated, self.sums.p.sums, strict=True):
            stops = ~self.sums.p.emit | (active.relu & before[-1])
            m.d.sync += total.eq(Mux(stops, 0, before))
        return gated

    def _requantise(self, m, active, gated):
        """One requantiser a lane; returns which lanes were clipped."""
        config, clipped = self.config, []
        for index, total in enumerate(gated):
            lane = Requantise(
                operand_width=config.operand_width, sum_width=config.sum_width, compact=True
            )
            m.submodules[f"lane{index}"] = lane
            m.d.comb += [
                lane.sum.eq(total),
                lane.shift.eq(active.shift),
                lane.raw.eq(active.raw),
                self.vectors.p.data[index].eq(lane.result),
            ]
            clipped.append(lane.clipped)
        return clipped

    def _hand_on(self, m, active, taken, flags):
        """Offer the vector with what the router needs of its emission."""
        vectors = self.vectors
        m.d.comb += [
            vectors.valid.eq(taken),
            vectors.p.emit.eq(flags.emit),
            vectors.p.last.eq(flags.last),
            vectors.p.signals.eq(Mux(flags.last, active.signals, 0)),
            vectors.p.address.eq(active.destination_base),
            vectors.p.bank.eq(active.destination_bank),
            *(vectors.p[name].eq(active[name]) for name in ("raw", "store", "step", "destination")),
        ]
