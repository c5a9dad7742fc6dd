# SPDX-License-Identifier: Apache-2.0
"""A dense product whose left operand comes panel by panel from the sparse engine."""

from collections.abc import Iterable, Iterator

from gcnloom.lower.builder import Builder, Output, Tensor
from gcnloom.lower.dense import Step, group_panels, groups, steps_through, weight_stationary
from gcnloom.lower.stack import Term
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Target

__all__ = ["StreamedGemm"]


class StreamedGemm:
    """``left @ weights`` whose left operand comes panel by panel, a few rows at a time.

    The sums of all rows and groups stay in the array's sum memory until the last panel; where
    all panels come at once, those of a part until it has left.

    Parameters
    ----------
    builder : Builder
    left, weights : Tensor
    output : Output
        Its `grid` is not less than what comes at a time.
    """

    def __init__(self, builder: Builder, left: Tensor, weights: Tensor, output: Output) -> None:
        self._builder, self._left, self._weights = builder, left, weights
        self._output = output
        self._groups = groups(output.tensor, builder.config)
        term = Term(rows=range(left.rows))
        self._steps = list(steps_through(left.features, builder.config, term))
        self._tail: tuple[list[Step], Iterable[range]] = ([], ())
        self._key, self._kept = f"{output.tensor.name} kept", range(left.rows * len(self._groups))

    @staticmethod
    def fits(
        left: Tensor, panels: int, features: int, config: AcceleratorConfig, beside: int
    ) -> bool:
        """Whether the sums of so many output features fit on chip, and `beside` rows of others.

        None have to stay there if the left operand comes with all its `panels` at once.
        """
        at_once = left.features <= panels * config.lanes
        return at_once or left.rows * -(-features // config.columns) + beside <= config.sum_depth

    def feed(self, panels: range, upstream: Iterable[range]) -> Iterator[range]:
        """Multiply some panels, the rows of which `upstream` makes, by their weights.

        Emits commands as it is iterated over; the last panels wait for :meth:`outputs`.
        """
        banks = self._builder.banks(Target.LEFT)
        complete = [
            group
            for group in range(panels.start // banks, (panels.stop - 1) // banks + 1)
            if min((group + 1) * banks, self._panels()) <= panels.stop
        ]
        steps = [step for step in self._steps if step.group in complete]
        if panels.stop == self._panels():
            self._tail = steps, upstream
            return
        for rows in upstream:
            for group in self._groups:
                self._multiply(group, rows, steps)
            yield rows

    def outputs(self) -> Iterator[tuple[range, Iterator[range]]]:
        """Panels of each group, with what emits their last commands and yields their rows."""
        steps, upstream = self._tail
        seen: list[range] = []
        for group in self._groups:
            source = upstream if group == 0 else seen
            panels = group_panels(self._output.tensor, group, self._builder.config)
            yield panels, self._finish(group, steps, source, seen)
        self._builder.sums.release(self._key, self._kept)

    def _finish(
        self, group: int, steps: list[Step], upstream: Iterable[range], seen: list[range]
    ) -> Iterator[range]:
        for rows in upstream:
            if group == 0:
                seen.append(rows)
            self._multiply(group, rows, steps)
            yield rows

    def _panels(self) -> int:
        return -(-self._left.features // self._builder.config.lanes)

    def _multiply(self, group: int, rows: range, steps: list[Step]) -> None:
        sum_base = self._sum_base(group, rows, whole=steps == self._steps)
        for step in steps:
            weight_stationary(
                self._builder, self._left, self._weights, self._output, group, rows, step,
                first=step == self._steps[0], last=step == self._steps[-1], sum_base=sum_base,
            )  # fmt: skip

    def _sum_base(self, group: int, rows: range, *, whole: bool) -> int:
        """Where the sums of some rows are, which stay unless all steps are taken at once."""
        sums = self._builder.sums
        if whole:
            return sums.place(self._output.tensor.name, rows)
        base = sums.find(self._key, self._kept)
        if base is None:
            base = sums.place(self._key, self._kept, pinned=True)
        return base + group * self._left.rows + rows.start
