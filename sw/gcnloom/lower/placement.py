# SPDX-License-Identifier: Apache-2.0
"""A network's tensors: which lie in device memory, and for how many rows."""

from dataclasses import replace

from gcnloom.layers import Network
from gcnloom.lower.builder import Tensor
from gcnloom.lower.matrices import Matrices
from gcnloom.lower.products import padded_inner
from gcnloom.tensors.memory import Allocator, TensorLayout
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Tensors"]


class Tensors:
    """Tensors of inference, which has all nodes, and of training, which may have the first.

    Parameters
    ----------
    network : Network
    config : AcceleratorConfig
    allocator : Allocator
        Of the device's memory.
    matrices : Matrices

    Attributes
    ----------
    named : dict[str, Tensor]
    """

    def __init__(
        self, network: Network, config: AcceleratorConfig, allocator: Allocator, matrices: Matrices
    ) -> None:
        self._network, self._config = network, config
        self._allocator, self._matrices = allocator, matrices
        self.named: dict[str, Tensor] = {}

    def place(self, nodes: int, rows: tuple[int, ...]) -> None:
        """Place the tensors of `nodes`; those of training alone have `rows` of each layer."""
        network, config, last = self._network, self._config, self._network.layers
        if not self._matrices.sparse_input:
            self._place("features", nodes, network.widths[0])
        for layer in range(1, last + 1):
            inner, outer = network.widths[layer - 1], network.widths[layer]
            sparse = layer == 1 and self._matrices.sparse_input
            padded = inner if sparse else padded_inner(inner, config)
            self._place(f"weights{layer}", padded, outer)
            if layer > 1:
                self._place(f"weights{layer}_transposed", padded_inner(outer, config), inner)
            through = all(self.passes_through(layer, count) for count in (nodes, rows[layer - 1]))
            self._place(f"product{layer}", nodes, outer, stored=not through)
            self._place(f"aggregate_gradient{layer}", rows[layer - 1], outer)
            self._place(
                f"weight_gradient{layer}", padded, outer, kind="sums",
                block=None if sparse else config.rows,
            )  # fmt: skip
            if layer < last:
                self._place(f"hidden{layer}", nodes, outer)
                stored = not self._fits(rows[layer])
                self._place(f"gradient{layer}", rows[layer], outer, stored=stored)
        self._place("logits", nodes, network.widths[-1], kind="sums")
        if rows[-1] == nodes:
            self.named["training_logits"] = self.named["logits"]
        else:
            self._place("training_logits", rows[-1], network.widths[-1], kind="sums")
        self._place(f"gradient{last}", rows[-1], network.widths[-1])

    def first(self, name: str, rows: int) -> Tensor:
        """First rows of a tensor."""
        return replace(self.named[name], rows=rows)

    def passes_through(self, layer: int, rows: int) -> bool:
        """Whether so many rows of a layer's product need not be stored.

        What the sparse engine makes must not be displaced by its own next row block.
        """
        sparse = layer == 1 and self._matrices.sparse_input
        whole = not sparse or len(self._matrices.features(rows).schedule.blocks) == 1
        return self._fits(rows) and whole

    def _fits(self, rows: int) -> bool:
        """Whether the panels made together fit on chip, to pass from engine to engine there."""
        return rows * self._config.right_banks <= self._config.operand_depth

    def _place(
        self, name: str, rows: int, columns: int, *, kind: str = "operand",
        block: int | None = None, stored: bool = True,
    ) -> None:  # fmt: skip
        layout = None
        if stored:
            layout = TensorLayout(
                config=self._config, rows=rows, features=columns, kind=kind, block=block
            )
            layout = layout.at(self._allocator.allocate(name, layout.words))
        self.named[name] = Tensor(name=name, rows=rows, features=columns, stored=layout)
