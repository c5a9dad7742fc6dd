# SPDX-License-Identifier: Apache-2.0
"""Where the weights lie that a device updates itself, and the commands that do it."""

from dataclasses import dataclass

from gcnloom.lower.blocks import Blocks
from gcnloom.tensors.memory import TensorLayout
from gcnloom_spec.commands import Step
from gcnloom_spec.isa import Source

__all__ = ["Descent"]


@dataclass(frozen=True, kw_only=True)
class Descent:
    """What becomes of a weight gradient on the device.

    Parameters
    ----------
    masters : TensorLayout
        Weights and momenta, of the gradient's rows and blocks.
    operands : TensorLayout
        The weights as the engines read them.
    tensor, gradient : int
        Tensor numbers of the weights and of their gradient.
    stochastic : bool
        How weights and momenta are rounded.
    blocks : Blocks
        Of the weights; draws are keyed by a row's place among those of the blocks alone, which
        is the same on every configuration.
    """

    masters: TensorLayout
    operands: TensorLayout
    tensor: int
    gradient: int
    stochastic: bool
    blocks: Blocks

    def step(self, source: Source, panel: int, rows: range) -> Step:
        """Step the weights of some rows of a panel; coefficients come when the run is known."""
        operands = self.operands
        word, offset = divmod(rows.start, operands.packing.items_per_word)
        block, inside = divmod(rows.start, self.blocks.pitch)
        return Step(
            source=source, count=len(rows), address=self.masters.panel_address(panel, rows.start),
            operands=operands.panel_address(panel) + word * operands.packing.words_per_item,
            offset=offset, tensor=self.tensor, gradient=self.gradient, rate=0, rate_shift=0,
            stochastic=int(self.stochastic), row=block * self.blocks.rows + inside,
            feature=panel * operands.config.lanes,
        )  # fmt: skip
