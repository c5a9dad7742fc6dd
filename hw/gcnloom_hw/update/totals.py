# SPDX-License-Identifier: Apache-2.0
"""What rows add up to, split by split."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.layout import layout
from gcnloom_hw.update.softmax import ROW_RESULT
from gcnloom_spec.items import RECORD, Split

__all__ = ["Totals"]


class Totals(wiring.Component):
    """Add the losses of the rows of each split, and count those that are right.

    Takes one row a cycle, which is in the totals the cycle after. They wrap.

    Attributes
    ----------
    clear : In(1)
    rows : In(stream.Signature(ROW_RESULT, always_ready=True))
    record : Out(RECORD)
    """

    rows: stream.Interface

    def __init__(self) -> None:
        super().__init__(
            {
                "clear": In(1),
                "rows": In(stream.Signature(ROW_RESULT, always_ready=True)),
                "record": Out(layout(RECORD)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        row = self.rows.p
        for split, name in ((Split.TRAIN, "train"), (Split.VAL, "val"), (Split.TEST, "test")):
            loss, correct = self.record[f"{name}_loss"], self.record[f"{name}_correct"]
            mine = Signal(name=f"{name}_mine")
            m.d.comb += mine.eq(self.rows.valid & (row.split == split))
            with m.If(mine):
                m.d.sync += [loss.eq(loss + row.loss), correct.eq(correct + row.correct)]
        with m.If(self.clear):
            m.d.sync += self.record.eq(0)
        return m
