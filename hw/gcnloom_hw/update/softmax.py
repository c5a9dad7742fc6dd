# SPDX-License-Identifier: Apache-2.0
"""Softmax cross-entropy of a stream of rows: gradients, losses, and which rows are right."""

from functools import reduce
from operator import or_

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.layout import Shapes
from gcnloom_hw.streams.queue import CreditedQueue
from gcnloom_hw.update.exponential import EXPONENTIAL_BITS, POWER_BITS, Exponential
from gcnloom_hw.update.gradient import GRADIENT_BITS, Gradient
from gcnloom_hw.update.lanes import Mark, Peak, Sum
from gcnloom_hw.update.normalise import LOSS_BITS, PLACE_BITS, RECIPROCAL_BITS, Normalise
from gcnloom_hw.update.rows import RowBuffer
from gcnloom_hw.update.walk import PANEL_BITS
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import EMISSION
from gcnloom_spec.items import LABEL, Split
from gcnloom_spec.softmax import MULTIPLIER_BITS, exponentials

__all__ = ["ROW_RESULT", "Softmax", "logits_vector"]

SPLIT_BITS = LABEL.fields["split"]
ROW_RESULT = data.StructLayout({"loss": LOSS_BITS, "correct": 1, "split": SPLIT_BITS})
FACTS = data.StructLayout({"power": POWER_BITS, "hit": 1, "earlier": 1})
"""What a row's vectors, together, say of its label: how far below the peak it is; that it is the
peak; that a class before it is."""


def logits_vector(config: AcceleratorConfig) -> data.StructLayout:
    """Layout of a slice of a panel of a row; `label` and `split` count with the first of the row.

    `final` marks those of the last row.
    """
    return data.StructLayout(
        {"sums": Shapes(config).slice_sums, **LABEL.fields, "first": 1, "last": 1, "final": 1}
    )


class Softmax(wiring.Component):
    """Execute what :class:`gcnloom_spec.commands.Loss` says between its reads and its writes.

    Three passes over each row, of which each keeps its vectors until it knows what the next has to
    know: largest logit, sum of exponentials, gradients. Rows overlap: takes a slice of a vector a
    cycle and works on one in each pass, in order. Vectors are sent only when room was reserved for
    them. The first gradients of a row are there about 40 cycles after its last slice; its loss is
    earlier.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    classes, panels, multiplier, logits_shift, gradient_shift, gradient : In
        Constant while vectors are inside; `panels` at most 32. Without `gradient` all are zero.
    take : In(1)
        Reserve room for the slices of a vector; only while `available`.
    available : Out(1)
    vectors : In(stream.Signature(logits_vector(config), always_ready=True))
    gradients : Out(stream.Signature(Shapes.slice))
    rows : Out(stream.Signature(ROW_RESULT, always_ready=True))
    measured_valid, measured_last : Out(1)
        Figures of a slice; of the last of the final row.
    measured_envelope : Out(17)
    measured_saturations : Out(range(update_width + 1))
    """

    vectors: stream.Interface
    gradients: stream.Interface
    rows: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        shapes = Shapes(config)
        super().__init__(
            {
                "classes": In(LABEL.fields["label"]),
                "panels": In(PANEL_BITS),
                "multiplier": In(MULTIPLIER_BITS),
                "logits_shift": In(EMISSION["shift"]),
                "gradient_shift": In(EMISSION["shift"]),
                "gradient": In(1),
                "take": In(1),
                "available": Out(1),
                "vectors": In(stream.Signature(logits_vector(config), always_ready=True)),
                "gradients": Out(stream.Signature(shapes.slice)),
                "rows": Out(stream.Signature(ROW_RESULT, always_ready=True)),
                "measured_valid": Out(1),
                "measured_last": Out(1),
                "measured_envelope": Out(GRADIENT_BITS),
                "measured_saturations": Out(range(config.update_width + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lanes = self.config.update_width
        slices = self.config.update_slices
        row = {"split": SPLIT_BITS, "final": 1}
        marks = {"is_label": lanes, "before": lanes, "counts": lanes}
        powers = {"exponentials": data.ArrayLayout(EXPONENTIAL_BITS, lanes), "is_label": lanes}
        m.submodules.logits = logits = RowBuffer(
            vector=data.StructLayout({"sums": Shapes(self.config).slice_sums, **marks}),
            figure=data.StructLayout({"peak": signed(self.config.sum_width), **row}),
            slices=slices,
            reserved=slices,
        )
        m.submodules.powers = exponents = RowBuffer(
            vector=data.StructLayout(powers),
            figure=data.StructLayout(
                {"place": PLACE_BITS, "reciprocal": RECIPROCAL_BITS, "keep": 1, "final": 1}
            ),
            slices=slices,
        )
        m.d.comb += [
            logits.count.eq(self.panels * slices),
            exponents.count.eq(self.panels * slices),
            logits.take.eq(self.take),
            self.available.eq(logits.available),
        ]
        self._find_peaks(m, logits)
        self._add_exponentials(m, logits, exponents)
        self._subtract_labels(m, exponents)
        return m

    def _find_peaks(self, m, logits):
        """First pass: which lanes count, and the largest logit of the row."""
        m.submodules.mark = mark = Mark(lanes=self.config.update_width)
        m.submodules.peak = peak = Peak(self.config)
        vector = self.vectors.p
        m.d.comb += [
            mark.valid.eq(self.vectors.valid),
            mark.first.eq(vector.first),
            mark.label.eq(vector.label),
            mark.classes.eq(self.classes),
        ]
        valid = delay_line(m, self.vectors.valid, mark.latency, name="valid", reset_less=False)[-1]
        marked = delay_line(m, vector, mark.latency, name="marked")[-1]
        rows = Signal(logits.figures.payload.shape(), reset_less=True)
        with m.If(valid & marked.first):
            m.d.sync += [rows.split.eq(marked.split), rows.final.eq(marked.final)]
        m.d.comb += [
            logits.vectors.valid.eq(valid),
            logits.vectors.p.sums.eq(marked.sums),
            logits.vectors.p.is_label.eq(mark.is_label),
            logits.vectors.p.before.eq(mark.before),
            logits.vectors.p.counts.eq(mark.counts),
            *(getattr(peak, name).eq(marked[name]) for name in ("first", "last", "sums")),
            peak.valid.eq(valid),
            peak.counts.eq(mark.counts),
        ]
        # The row's side information: as it was when the peak's last vector came.
        late = delay_line(m, rows, peak.latency - 1, name="row")[-1]
        m.d.comb += [
            logits.figures.valid.eq(peak.done),
            logits.figures.p.eq(late),
            logits.figures.p.peak.eq(peak.peak),
        ]

    def _add_exponentials(self, m, logits, exponents):
        """Second pass: exponentials, their sum, and the loss."""
        lanes = self.config.update_width
        m.submodules.sum = total = Sum(lanes=lanes)
        m.submodules.normalise = normalise = Normalise()
        powers = self._raise(m, logits, total)

        issue = Signal()
        m.d.comb += [
            issue.eq(logits.ready & exponents.available),
            logits.issue.eq(issue),
            exponents.take.eq(issue),
        ]
        raised = logits.latency + Exponential.latency
        added = raised + total.levels
        valid, first, last = (
            delay_line(m, port, cycles, name=f"issued_{name}", reset_less=False)
            for name, port, cycles in (
                ("valid", issue, added),
                ("first", logits.first, added),
                ("last", issue & logits.last, added + 1),
            )
        )
        labels = delay_line(m, logits.vector.is_label, Exponential.latency, name="label")
        facts = self._facts(m, powers, logits.vector, labels, added - logits.latency)
        seen = Signal(FACTS, reset_less=True)
        with m.If(valid[added]):
            m.d.sync += seen.eq(Mux(first[added], 0, seen.as_value()) | facts)
        m.d.comb += [
            exponents.vectors.valid.eq(valid[raised]),
            exponents.vectors.p.exponentials.eq(total.exponentials),
            exponents.vectors.p.is_label.eq(labels[-1]),
            total.valid.eq(valid[added]),
            total.first.eq(first[added]),
            normalise.total.eq(total.total),
            normalise.power.eq(seen.power),
        ]
        self._normalise(m, logits, exponents, normalise, seen, last, added)

    def _normalise(self, m, logits, exponents, normalise, seen, last, added):
        """Of each row: the loss, and what its gradients are to be multiplied by."""
        done = delay_line(m, last[added + 1], normalise.latency, name="done", reset_less=False)
        correct = delay_line(m, seen.hit & ~seen.earlier, normalise.latency, name="correct")
        row = {name: logits.figure[name] for name in ("split", "final")}
        ages = added + 1 - logits.latency + normalise.latency
        split, final = (delay_line(m, value, ages, name=name)[-1] for name, value in row.items())
        m.d.comb += [
            self.rows.valid.eq(done[-1]),
            self.rows.p.loss.eq(normalise.loss),
            self.rows.p.correct.eq(correct[-1]),
            self.rows.p.split.eq(split),
            exponents.figures.valid.eq(done[-1]),
            exponents.figures.p.place.eq(normalise.place),
            exponents.figures.p.reciprocal.eq(normalise.reciprocal),
            exponents.figures.p.keep.eq(self.gradient & (split == Split.TRAIN)),
            exponents.figures.p.final.eq(final),
        ]

    def _raise(self, m, logits, total):
        """One exponential a lane; two lanes share the ports of a table."""
        table, lanes = exponentials(), []
        for index in range(self.config.update_width):
            lane = Exponential(sum_width=self.config.sum_width)
            m.submodules[f"lane{index}"] = lane
            if index % 2 == 0:
                memory = Memory(shape=EXPONENTIAL_BITS, depth=len(table), init=table)
                m.submodules[f"table{index // 2}"] = memory
            port = memory.read_port()
            m.d.comb += [
                lane.peak.eq(logits.figure.peak),
                lane.logit.eq(logits.vector.sums[index]),
                lane.counts.eq(logits.vector.counts[index]),
                lane.shift.eq(self.logits_shift),
                lane.multiplier.eq(self.multiplier),
                port.addr.eq(lane.entry),
                lane.read.eq(delay_line(m, port.data, 1, name=f"read{index}")[-1]),
                total.exponentials[index].eq(lane.exponential),
            ]
            lanes.append(lane)
        return lanes

    @staticmethod
    def _facts(m, lanes, vector, labels, age):
        """Return what a vector says of its row's label, `age` cycles after it came."""
        at, later = Exponential.nearest_latency, Exponential.power_latency
        before = delay_line(m, vector.before, at, name="before")[-1]
        power = reduce(
            or_,
            (
                lane.power & labels[later][index].replicate(POWER_BITS)
                for index, lane in enumerate(lanes)
            ),
        )
        hit = reduce(or_, (lane.nearest & labels[at][i] for i, lane in enumerate(lanes)))
        earlier = reduce(or_, (lane.nearest & before[i] for i, lane in enumerate(lanes)))
        facts = Signal(FACTS)
        m.d.comb += [
            facts.power.eq(delay_line(m, power, age - later, name="power")[-1]),
            facts.hit.eq(delay_line(m, hit, age - at, name="hit")[-1]),
            facts.earlier.eq(delay_line(m, earlier, age - at, name="earlier")[-1]),
        ]
        return facts.as_value()

    def _subtract_labels(self, m, exponents):
        """Third pass: gradients."""
        m.submodules.gradient_lanes = gradient = Gradient(self.config)
        latency = exponents.latency + gradient.latency
        m.submodules.results = results = CreditedQueue(Shapes(self.config).slice, depth=latency + 4)
        issue = Signal()
        m.d.comb += [
            issue.eq(exponents.ready & results.available),
            exponents.issue.eq(issue),
            results.take.eq(issue),
            gradient.exponentials.eq(exponents.vector.exponentials),
            gradient.labels.eq(exponents.vector.is_label),
            gradient.place.eq(exponents.figure.place),
            gradient.reciprocal.eq(exponents.figure.reciprocal),
            gradient.keep.eq(exponents.figure.keep),
            gradient.shift.eq(self.gradient_shift),
        ]
        valid, last = (
            delay_line(m, port, latency + 1, name=f"leaving_{name}", reset_less=False)
            for name, port in (("valid", issue), ("last", issue & exponents.last))
        )
        final = delay_line(m, exponents.figure.final, gradient.latency + 1, name="final")[-1]
        m.d.comb += [
            results.i.valid.eq(valid[latency]),
            results.i.payload.eq(gradient.operands),
            self.measured_valid.eq(valid[-1]),
            self.measured_last.eq(last[-1] & final),
            self.measured_envelope.eq(gradient.envelope),
            self.measured_saturations.eq(gradient.saturations),
        ]
        wiring.connect(m, inner=results.o, outer=wiring.flipped(self.gradients))
