# SPDX-License-Identifier: Apache-2.0
"""The weight step: gradients in, new weights, momenta and operands out."""

from functools import reduce
from operator import or_

from amaranth import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.port import read_request, write_request
from gcnloom_hw.memory.take import Take
from gcnloom_hw.streams.gearbox import unpacked_word
from gcnloom_hw.streams.half_buffer import HalfBuffer
from gcnloom_hw.streams.queue import CreditedQueue, Queue
from gcnloom_hw.update.draws import draws
from gcnloom_hw.update.lane import CONTROLS, StepLane
from gcnloom_hw.update.masters import Masters, arrival
from gcnloom_hw.update.order import StepOrder
from gcnloom_hw.update.results import Results, operands_slice, stepped_slice
from gcnloom_hw.update.ring import Ring
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import TENSOR_BITS, Unit

__all__ = ["StepEngine"]


class StepEngine(wiring.Component):
    """Execute :class:`gcnloom_spec.commands.Step` commands.

    Weights and momenta of up to two commands are read ahead of the gradients. Steps a slice of a
    vector a cycle where memory gives and takes its words in that time; where a vector has several,
    its words take cycles of their own, and random bytes two a slice. Between two commands are four
    cycles. Figures of a slice appear a cycle after the lanes are done, those of two commands
    four cycles or more from each other. The first result leaves :attr:`latency` cycles after its
    gradient is taken, at the earliest. Signals fire with a command's last write.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    commands : In(stream.Signature(StepOrder.command))
        A command of one vector or more with the shifts of its gradient (`shift0`) and of its
        operands (`shift1`).
    aggregate, transform : In(stream.Signature(Shapes.sums))
        Gradients of each engine.
    requests : Out(stream.Signature(read_request()))
    words : In(stream.Signature(unpacked_word(config.memory_bytes)))
    writes : Out(stream.Signature(write_request(config.memory_bytes)))
    signals : Out(len(Unit))
    seed, step : In(32)
        Constant while commands are inside, and for two cycles before.
    measured_valid, measured_last : Out(1)
        Figures of a slice of new weights; of a command's last.
    measured_tensor : Out(7)
    measured_envelope : Out(sum_width)
    measured_saturations : Out(range(update_width + 1))
        Operands that were clipped.
    masters_valid, masters_last : Out(1)
    masters_tensor : Out(7)
        Tensor of the gradient.
    masters_saturations : Out(range(2 * update_width + 1))
        Weights and momenta that were clipped.
    active, stalled, idle : Out(1)
        A slice was taken; a command waits for one; no command is inside.
    """

    pipeline = StepLane.latency
    latency = pipeline + Queue.latency

    commands: stream.Interface
    aggregate: stream.Interface
    transform: stream.Interface
    requests: stream.Interface
    words: stream.Interface
    writes: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        if not config.master_width:
            raise ValueError(
                "master_width=0 leaves the weight step to the host; use 16 for a step on the device"
            )
        self.config = config
        shapes = Shapes(config)
        super().__init__(
            {
                "commands": In(stream.Signature(StepOrder.command)),
                "aggregate": In(stream.Signature(shapes.sums)),
                "transform": In(stream.Signature(shapes.sums)),
                "requests": Out(stream.Signature(read_request())),
                "words": In(stream.Signature(unpacked_word(config.memory_bytes))),
                "writes": Out(stream.Signature(write_request(config.memory_bytes))),
                "signals": Out(len(Unit)),
                "seed": In(32),
                "step": In(32),
                "measured_valid": Out(1),
                "measured_last": Out(1),
                "measured_tensor": Out(TENSOR_BITS),
                "measured_envelope": Out(config.sum_width),
                "measured_saturations": Out(range(config.update_width + 1)),
                "masters_valid": Out(1),
                "masters_last": Out(1),
                "masters_tensor": Out(TENSOR_BITS),
                "masters_saturations": Out(range(2 * config.update_width + 1)),
                "active": Out(1),
                "stalled": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.order = order = StepOrder(config)
        m.submodules.masters = masters = Masters(config)
        m.submodules.results = results = Results(config)
        m.submodules.take = take = Take(config, slices=config.update_slices)
        m.submodules.stepped = stepped = CreditedQueue(
            stepped_slice(config), depth=StepLane.stepped + 4
        )
        m.submodules.operands = operands = CreditedQueue(
            operands_slice(config), depth=StepLane.latency + 4
        )
        for name in ("requests", "words"):
            wiring.connect(
                m, outer=wiring.flipped(getattr(self, name)), inner=getattr(masters, name)
            )
        for name in ("aggregate", "transform"):
            self._arrive(m, name, getattr(take, name))
        wiring.connect(m, outer=wiring.flipped(self.commands), inner=order.commands)
        wiring.connect(m, outer=wiring.flipped(self.writes), inner=results.writes)
        wiring.connect(m, order=order.transfers, masters=masters.transfers)
        wiring.connect(m, order=order.targets, results=results.targets)
        wiring.connect(m, queue=stepped.o, results=results.masters)
        wiring.connect(m, queue=operands.o, results=results.operands)
        randoms = self._draw(m, order)
        m.d.comb += [
            order.step.eq(self.step),
            take.begin.eq(order.begin),
            take.source.eq(order.active.source),
            take.count.eq(order.active.count),
            order.sums_valid.eq(take.vectors.valid),
            order.sums_last.eq(take.vectors.p.last),
            order.masters_valid.eq(masters.slices.valid),
            order.available.eq(stepped.available & operands.available),
            take.vectors.ready.eq(order.issue),
            masters.slices.ready.eq(order.issue),
            stepped.take.eq(order.issue),
            operands.take.eq(order.issue),
            self.signals.eq(results.signals),
            self.active.eq(order.issue),
            self.stalled.eq(order.busy & ~order.issue),
            self.idle.eq(order.idle & results.idle),
        ]
        lanes = self._step(m, order, take.vectors.p.sums, masters.slices.p, randoms)
        valid, tags = self._follow(m, order, take.vectors.p.last)
        self._hand_on(m, valid, tags, lanes, stepped.i, operands.i)
        self._count(m, valid, tags, lanes)
        return m

    def _arrive(self, m, name, inner):
        """Cut the way from an engine, where slices and words of vectors take longer anyway."""
        outer = wiring.flipped(getattr(self, name))
        if arrival(self.config):
            m.submodules[f"{name}_arrived"] = arrived = HalfBuffer(inner.payload.shape())
            wiring.connect(m, arrived=arrived.o, take=inner)
            inner = arrived.i
        wiring.connect(m, outer=outer, inner=inner)

    def _draw(self, m, order):
        """Random bytes run ahead of the gradients."""
        m.submodules.random_bytes = random_bytes = draws(self.config)
        wiring.connect(m, order=order.draws, draws=random_bytes.requests)
        m.d.comb += [
            random_bytes.key.eq(Cat(self.seed, self.step)),
            order.randoms_valid.eq(random_bytes.vectors.valid),
            random_bytes.vectors.ready.eq(order.issue_randoms),
        ]
        return random_bytes.vectors.p

    def _step(self, m, order, sums, masters, randoms):
        """One lane a weight; all of them share the controls."""
        active = order.active
        fields = {"momentum_factor": "momentum", "stochastic_weight": "stochastic"}
        controls = {
            name: delay_line(m, active[fields.get(name, name)], age, name=name)[-1]
            for name, (_, age) in CONTROLS.items()
        }
        lanes = []
        for index in range(self.config.update_width):
            m.submodules[f"lane{index}"] = lane = StepLane(self.config)
            m.d.comb += [
                lane.sum.eq(sums[index]),
                lane.weight.eq(masters.weights[index]),
                lane.momentum.eq(masters.momenta[index]),
                lane.momentum_noise.eq(randoms.dropout[index]),
                lane.weight_noise.eq(randoms.rounding[index]),
                *(getattr(lane, name).eq(control) for name, control in controls.items()),
            ]
            lanes.append(lane)
        return lanes

    def _follow(self, m, order, last):
        """Whether a slice is at each age, and from :attr:`StepLane.stepped` on its tag."""
        valid = delay_line(m, order.issue, self.pipeline + 1, name="valid", reset_less=False)
        active = order.active
        tag = data.StructLayout(
            {"tensor": TENSOR_BITS, "gradient": TENSOR_BITS, "slot": len(active.slot), "last": 1}
        )
        m.submodules.tags = tags = Ring(tag, cycles=StepLane.stepped)
        m.d.comb += [
            tags.i.last.eq(last),
            *(tags.i[name].eq(active[name]) for name in ("tensor", "gradient", "slot")),
        ]
        late = delay_line(m, tags.o, self.pipeline + 1 - StepLane.stepped, name="tag")
        return valid, dict(enumerate(late, StepLane.stepped))

    def _hand_on(self, m, valid, tags, lanes, stepped, operands):
        """Put new weights with their momenta, and later operands, into their queues."""
        m.d.comb += [
            stepped.valid.eq(valid[StepLane.stepped]),
            stepped.p.last.eq(tags[StepLane.stepped].last),
            operands.valid.eq(valid[self.pipeline]),
            operands.p.last.eq(tags[self.pipeline].last),
            operands.p.slot.eq(tags[self.pipeline].slot),
        ]
        for index, lane in enumerate(lanes):
            m.d.comb += [
                stepped.p.masters.weights[index].eq(lane.new_weight),
                stepped.p.masters.momenta[index].eq(lane.new_momentum),
                operands.p.operands[index].eq(lane.operand),
            ]

    def _count(self, m, valid, tags, lanes):
        """Fold the new weights, and count what was clipped of each kind."""
        counts = {}
        for name in ("weight", "momentum", "operand"):
            counts[name] = Signal(range(len(lanes) + 1), name=f"{name}_clips", reset_less=True)
            m.d.sync += counts[name].eq(sum(getattr(lane, f"clipped_{name}") for lane in lanes))
        folded = Signal(self.config.master_width, reset_less=True)
        folds = [lane.new_weight ^ lane.new_weight[-1].replicate(len(folded)) for lane in lanes]
        m.d.sync += folded.eq(reduce(or_, folds))
        # A register for the fold, and one for the count: as old as the counted operands.
        folded = delay_line(m, folded, self.pipeline - StepLane.stepped, name="folded")[-1]

        counted = self.pipeline + 1
        summed = StepLane.stepped + 2
        m.d.sync += self.masters_saturations.eq(counts["weight"] + counts["momentum"])
        m.d.comb += [
            self.measured_valid.eq(valid[counted]),
            self.measured_last.eq(tags[counted].last),
            self.measured_tensor.eq(tags[counted].tensor),
            self.measured_envelope.eq(folded),
            self.measured_saturations.eq(counts["operand"]),
            self.masters_valid.eq(valid[summed]),
            self.masters_last.eq(tags[summed].last),
            self.masters_tensor.eq(tags[summed].gradient),
        ]
