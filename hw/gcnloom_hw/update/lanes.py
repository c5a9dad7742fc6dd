# SPDX-License-Identifier: Apache-2.0
"""From the lanes of vectors to what they say of their row."""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.layout import Shapes
from gcnloom_hw.update.exponential import EXPONENTIAL_BITS
from gcnloom_hw.update.normalise import TOTAL_BITS
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.items import LABEL
from gcnloom_spec.number import limits

__all__ = ["Mark", "Peak", "Sum", "sum_levels"]

CLASS_BITS = LABEL.fields["label"]


def sum_levels(lanes: int) -> int:
    """Stages of a tree over `lanes`."""
    return (lanes - 1).bit_length()


def _tree(m, values, combine, *, name):
    """Combine values two by two, with a register after each level."""
    for level in range(sum_levels(len(values))):
        pairs = [values[first : first + 2] for first in range(0, len(values), 2)]
        values = []
        for number, pair in enumerate(pairs):
            joined = combine(*pair) if len(pair) == 2 else pair[0]
            values += delay_line(m, joined, 1, name=f"{name}{level}_{number}")[1:]
    return values[0]


class Mark(wiring.Component):
    """Say which lanes of a vector are classes, which is the label, which come before it.

    Accepts one vector a cycle, rows panel by panel. Marks are there :attr:`latency` cycles later.

    Parameters
    ----------
    lanes : int

    Attributes
    ----------
    valid, first : In(1)
        A vector; the first of its row.
    classes : In(12)
        Constant while vectors are inside.
    label : In(12)
        Read with the first vector of a row.
    counts, is_label, before : Out(lanes)
    """

    latency = 1

    def __init__(self, *, lanes: int) -> None:
        self._lanes = lanes
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "classes": In(CLASS_BITS),
                "label": In(CLASS_BITS),
                "counts": Out(lanes),
                "is_label": Out(lanes),
                "before": Out(lanes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lanes = range(self._lanes)
        left = self._ahead(m, self.classes, "classes")
        label = self._ahead(m, self.label, "label")
        m.d.sync += [
            self.counts.eq(Cat(self._behind(left, lane) for lane in lanes)),
            self.is_label.eq(Cat(label == lane for lane in lanes)),
            self.before.eq(Cat(self._behind(label, lane) for lane in lanes)),
        ]
        return m

    def _behind(self, ahead, lane):
        """Whether a class comes after a lane: ``ahead > lane``, without a comparator a lane."""
        bits = sum_levels(self._lanes)
        return ~ahead[-1] & (ahead[bits:-1].any() | (ahead[:bits] > lane))

    def _ahead(self, m, row, name):
        """How far ahead of the vector's first lane a class is; less than none stays so."""
        # A row's last vectors may be padding: behind, it is held where no lane can be.
        ahead = Signal(signed(CLASS_BITS + 1), name=f"{name}_ahead")
        following = Signal(ahead.shape(), name=f"{name}_following", reset_less=True)
        m.d.comb += ahead.eq(Mux(self.first, row, following))
        with m.If(self.valid):
            m.d.sync += following.eq(Mux(ahead[-1], -1, ahead - self._lanes))
        return ahead


class Peak(wiring.Component):
    """Find the largest sum of each row.

    Accepts one vector a cycle; the peak leaves :attr:`latency` cycles after its row's last.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    valid, first, last : In(1)
        A vector; the first, the last of its row.
    sums : In(Shapes.slice_sums)
    counts : In(update_width)
        The lanes that are looked at; in each row one at least.
    done : Out(1)
    peak : Out(signed(sum_width))
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.latency = sum_levels(config.update_width) + 2
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "sums": In(Shapes(config).slice_sums),
                "counts": In(config.update_width),
                "done": Out(1),
                "peak": Out(signed(config.sum_width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lowest = Const(limits(self.config.sum_width)[0], signed(self.config.sum_width))
        counted = [
            delay_line(m, Mux(counts, lane, lowest), 1, name=f"counted{index}")[-1]
            for index, (lane, counts) in enumerate(zip(self.sums, self.counts, strict=True))
        ]
        largest = _tree(m, counted, _larger, name="larger")
        valid, first, last = (
            delay_line(m, port, self.latency - 1, name=name, reset_less=False)[-1]
            for name, port in (("valid", self.valid), ("first", self.first), ("last", self.last))
        )
        with m.If(valid):
            m.d.sync += self.peak.eq(Mux(first | (largest > self.peak), largest, self.peak))
        m.d.sync += self.done.eq(valid & last)
        return m


class Sum(wiring.Component):
    """Add each row's exponentials.

    Accepts one vector a cycle; the total is there :attr:`latency` cycles after its row's last.

    Parameters
    ----------
    lanes : int

    Attributes
    ----------
    valid, first : In(1)
        :attr:`levels` cycles after the vector.
    exponentials : In(ArrayLayout(16, lanes))
    total : Out(27)
    """

    def __init__(self, *, lanes: int) -> None:
        self.levels = sum_levels(lanes)
        self.latency = self.levels + 1
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "exponentials": In(data.ArrayLayout(EXPONENTIAL_BITS, lanes)),
                "total": Out(TOTAL_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        added = _tree(m, list(self.exponentials), lambda one, other: one + other, name="added")
        with m.If(self.valid):
            m.d.sync += self.total.eq(Mux(self.first, 0, self.total) + added)
        return m


def _larger(one, other):
    return Mux(one > other, one, other)
