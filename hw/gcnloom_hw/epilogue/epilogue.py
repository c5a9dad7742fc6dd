# SPDX-License-Identifier: Apache-2.0
"""What happens to an engine's sums on their way out: gate, requantise, count, hand on."""

from functools import reduce
from operator import or_

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.arithmetic.requantise import Requantise
from gcnloom_hw.epilogue.gate import Gate
from gcnloom_hw.epilogue.random_in_turn import RandomBytesInTurn
from gcnloom_hw.epilogue.sequence import Sequence, shift_write
from gcnloom_hw.epilogue.statistics import SATURATION_BITS, Statistics
from gcnloom_hw.layout import Shapes
from gcnloom_hw.streams.queue import CreditedQueue, Queue
from gcnloom_hw.streams.skid import Skid
from gcnloom_hw.streams.slices import choose, count_slices, cut
from gcnloom_spec.config import LOCAL_BITS, AcceleratorConfig
from gcnloom_spec.isa import EMISSION, Unit
from gcnloom_spec.registers import STATISTICS

__all__ = ["Epilogue", "epilogue_output"]

TAG = data.StructLayout(
    {
        "emit": 1,
        "last": 1,
        "raw": 1,
        "store": 1,
        "step": 1,
        "destination": EMISSION["destination"],
        "address": LOCAL_BITS,
        "bank": EMISSION["destination_bank"],
        "signals": len(Unit),
        "shift": EMISSION["shift"],
        "stochastic": 1,
        "tensor": EMISSION["tensor"],
    }
)
"""What travels beside a slice of a vector; `last` and `signals` beside the last of a command."""


def epilogue_output(config: AcceleratorConfig, lanes: int | None = None) -> data.StructLayout:
    """Shape of a vector, or a slice of `lanes`, on its way to store, update unit or memories.

    `data` holds operands, sign-extended, or sums if `raw`. A beat without `emit` only carries
    `last` and `signals`; `signals` is zero without `last`.
    """
    return data.StructLayout(
        {
            "data": data.ArrayLayout(signed(config.sum_width), lanes or config.lanes),
            "emit": 1,
            "raw": 1,
            "store": 1,
            "step": 1,
            "destination": EMISSION["destination"],
            "address": LOCAL_BITS,
            "bank": EMISSION["destination_bank"],
            "last": 1,
            "signals": len(Unit),
        }
    )


class Epilogue(wiring.Component):
    """Apply each command's emission to its sums, as ``gcnloom_spec.commands.Emission`` defines.

    Accepts one vector a cycle within an emission, or one every ``epilogue_slices`` cycles where the
    configuration has it work on slices; three cycles of rest between two emissions. An emission
    with random bytes starts at most 24 cycles after it is accepted, and takes twice as long if it
    has both dropout and stochastic rounding. Vectors leave in order, :attr:`latency` cycles after
    they are taken at the earliest, and as many more as they have slices but one. Sums saturate.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    emissions : In(stream.Signature(Shapes.emission))
    sums : In(stream.Signature(Shapes.engine_sums))
    mask_writes : In(stream.Signature(Shapes.mask_write))
        Always taken; visible two cycles later.
    vectors : Out(stream.Signature(epilogue_output(config)))
    seed, step : In(32)
        Constant while emissions are inside.
    clear : In(1)
        Zero the statistics; only while `idle`. Emissions wait until it is done.
    statistic : In(7)
        Tensor whose statistics are read; they follow at most 4 cycles later.
    forget : In(1)
        Zero that tensor's envelope; only while `idle`.
    shift : In(shift_write())
        A new shift of a tensor's scale.
    envelope : Out(sum_width)
    saturations : Out(32)
    saturated : Out(range(epilogue_width + 1))
        Lanes clipped in this cycle's slice.
    idle : Out(1)
        Nothing is inside: no emission, no vector, no statistics still to be merged.
    """

    pipeline = Gate.latency + Requantise.latency
    latency = pipeline + Queue.latency

    emissions: stream.Interface
    sums: stream.Interface
    mask_writes: stream.Interface
    vectors: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        shapes = Shapes(config)
        super().__init__(
            {
                "emissions": In(stream.Signature(shapes.emission)),
                "sums": In(stream.Signature(shapes.engine_sums)),
                "mask_writes": In(stream.Signature(shapes.mask_write)),
                "vectors": Out(stream.Signature(epilogue_output(config))),
                "seed": In(32),
                "step": In(32),
                "clear": In(1),
                "statistic": In(range(STATISTICS)),
                "forget": In(1),
                "shift": In(shift_write()),
                "envelope": Out(config.sum_width),
                "saturations": Out(SATURATION_BITS),
                "saturated": Out(range(config.epilogue_width + 1)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.sequence = sequence = Sequence(self.config)
        m.submodules.gate = gate = Gate(self.config)
        m.submodules.statistics = statistics = Statistics(
            self.config, most=self.config.epilogue_width
        )
        depth = max(self.config.fabric_depth, self.pipeline + 4)
        output = epilogue_output(self.config, self.config.epilogue_width)
        # All but the data decides where a vector goes.
        registered = output.size - output["data"].width
        m.submodules.queue = queue = CreditedQueue(output, depth=depth, registered=registered)
        wiring.connect(m, outer=wiring.flipped(self.emissions), inner=sequence.emissions)
        wiring.connect(m, outer=wiring.flipped(self.mask_writes), inner=gate.mask_writes)
        m.submodules.skid = skid = Skid(output)
        wiring.connect(m, queue=queue.o, skid=skid.i)
        self._regroup(m, skid.o)
        # An engine's queue of sums is wide, and far from what decides whether they are taken.
        m.submodules.arriving = arriving = Skid(self.sums.payload.shape())
        wiring.connect(m, outer=wiring.flipped(self.sums), inner=arriving.i)
        sums = arriving.o
        present = count_slices(m, self.config.epilogue_slices, sequence.issue)
        vector_last = present[-1]

        if not self.config.without_draws:
            self._draw(m, sequence, gate)
        # No emission comes in the cycle after a start.
        m.d.sync += sequence.hold.eq(self.clear | statistics.clearing)
        m.d.comb += [
            sequence.shift.eq(self.shift),
            statistics.forget.eq(self.forget),
            sequence.sums_valid.eq(sums.valid),
            sequence.sums_last.eq(sums.p.last),
            sequence.vector_last.eq(vector_last),
            sequence.available.eq(queue.available),
            sums.ready.eq(sequence.issue & vector_last),
            queue.take.eq(sequence.issue),
        ]
        self._gate(m, sequence.active, sums.p, present, gate)

        taken = delay_line(m, sequence.issue, self.pipeline, name="taken", reset_less=False)[-1]
        tags = delay_line(
            m, self._tag(m, sequence.active, sums.p, vector_last), self.pipeline, name="tag"
        )
        gated_tag, tag = tags[gate.latency], tags[-1]
        clipped = self._requantise(m, gate, gated_tag, queue.i.payload.data)
        self._hand_on(m, taken, tag, queue.i)
        self._count(m, gate, clipped & taken.replicate(len(clipped)), statistics)
        m.d.comb += [
            statistics.valid.eq(delay_line(m, taken, 1, name="counted", reset_less=False)[-1]),
            statistics.last.eq(delay_line(m, tag.last, 1, name="counted_last")[-1]),
            statistics.tensor.eq(delay_line(m, tag.tensor, 1, name="counted_tensor")[-1]),
        ]
        m.d.comb += self.idle.eq(~sequence.busy & queue.empty & skid.i.ready & ~statistics.busy)
        return m

    def _draw(self, m, sequence, gate):
        """Random bytes run ahead of the sums."""
        m.submodules.random_bytes = random_bytes = RandomBytesInTurn(
            lanes=self.config.epilogue_width, slices=self.config.epilogue_slices
        )
        wiring.connect(m, requests=sequence.requests, draws=random_bytes.requests)
        m.d.comb += [
            random_bytes.key.eq(Cat(self.seed, self.step)),
            sequence.randoms_valid.eq(random_bytes.vectors.valid),
            random_bytes.vectors.ready.eq(sequence.issue_randoms),
            gate.randoms.eq(random_bytes.vectors.payload),
        ]

    def _regroup(self, m, slices):
        """Put slices together to vectors, which leave with their last."""
        part = slices.p.data.as_value()
        others = self.config.epilogue_slices - 1
        held = Signal(max(1, others * len(part)), reset_less=True)
        take = slices.valid & slices.ready
        last = count_slices(m, self.config.epilogue_slices, take, name="left")[-1]
        m.d.comb += [
            self.vectors.valid.eq(slices.valid & last),
            slices.ready.eq(self.vectors.ready | ~last),
            self.vectors.p.data.eq(Cat(held, part) if others else part),
        ]
        m.d.comb += [
            self.vectors.payload[name].eq(slices.payload[name])
            for name in slices.payload.shape().members
            if name != "data"
        ]
        # The last need not be held, so that nothing here waits for who takes the vector.
        with m.If(slices.valid & ~last):
            m.d.sync += held.eq(Cat(held, part)[len(part) :] if others else 0)

    def _gate(self, m, active, vector, present, gate):
        """Hand the slice in turn to the gate."""
        controls = gate.controls
        sums = vector.sums.as_value()
        m.d.comb += [
            gate.sums.eq(choose(cut(sums, len(present)), present)),
            controls.slice.eq(present),
            controls.emit.eq(vector.emit),
            controls.mask_address.eq(active.mask_base),
        ]
        m.d.comb += [
            controls[name].eq(active[name]) for name in ("relu", "mask", "dropout", "threshold")
        ]

    def _tag(self, m, active, vector, vector_last):
        """Side information of the slice in turn."""
        tag = Signal(TAG)
        last = vector.last & vector_last
        m.d.comb += [
            tag.emit.eq(vector.emit),
            tag.last.eq(last),
            tag.signals.eq(Mux(last, active.signals, 0)),
            tag.address.eq(active.destination_base),
            tag.bank.eq(active.destination_bank),
        ]
        m.d.comb += [
            tag[name].eq(active[name])
            for name in ("raw", "store", "step", "destination", "shift", "stochastic", "tensor")
        ]
        return tag

    def _requantise(self, m, gate, tag, results):
        """One requantiser a lane; returns which lanes were clipped."""
        clipped = Signal(self.config.epilogue_width)
        for index in range(self.config.epilogue_width):
            lane = Requantise(
                operand_width=self.config.operand_width, sum_width=self.config.sum_width
            )
            m.submodules[f"lane{index}"] = lane
            m.d.comb += [
                lane.sum.eq(gate.gated[index]),
                lane.noise.eq(gate.noise[index]),
                lane.shift.eq(tag.shift),
                lane.stochastic.eq(tag.stochastic),
                lane.raw.eq(tag.raw),
                results[index].eq(lane.result),
                clipped[index].eq(lane.clipped),
            ]
        return clipped

    @staticmethod
    def _hand_on(m, taken, tag, vectors):
        """Put the slice, with what the router needs of its tag, into the queue."""
        m.d.comb += vectors.valid.eq(taken)
        m.d.comb += [
            vectors.payload[name].eq(tag[name])
            for name in vectors.payload.shape().members
            if name != "data"
        ]

    def _count(self, m, gate, clipped, statistics):
        """Fold the gated sums and count the clipped lanes, both ready in the same cycle."""
        width = self.config.sum_width
        folded = Signal(width, reset_less=True)
        folds = [total.as_unsigned() ^ total[-1].replicate(width) for total in gate.gated]
        m.d.sync += folded.eq(reduce(or_, folds))
        m.d.sync += self.saturated.eq(sum(clipped))
        m.d.comb += [
            statistics.envelope.eq(delay_line(m, folded, Requantise.latency, name="folded")[-1]),
            statistics.saturations.eq(self.saturated),
            statistics.clear.eq(self.clear),
            statistics.statistic.eq(self.statistic),
            self.envelope.eq(statistics.read_envelope),
            self.saturations.eq(statistics.read_saturations),
        ]
