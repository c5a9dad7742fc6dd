# SPDX-License-Identifier: Apache-2.0
"""A network's tensors in device memory."""

from collections.abc import Sequence
from dataclasses import replace

from gcnloom.layers import Network
from gcnloom.lower.blocks import Blocks
from gcnloom.lower.builder import Tensor
from gcnloom.lower.dense import block_pitch, padded_inner
from gcnloom.lower.stack import Stack
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
    sparse_input : bool
        The features are a matrix of the sparse engine.

    Attributes
    ----------
    named : dict[str, Tensor]
    """

    def __init__(
        self, network: Network, config: AcceleratorConfig, allocator: Allocator, sparse_input: bool
    ) -> None:
        self._network, self._config = network, config
        self._allocator, self._sparse_input = allocator, sparse_input
        self.named: dict[str, Tensor] = {}

    def place(self, nodes: int, rows: tuple[int, ...]) -> None:
        """Place the tensors of `nodes`; those of training alone have `rows` of each layer.

        Products and the gradients they pass back get a place when a program stores them. Where
        training sees less than half of a hidden layer, it has a place of its own, so that all of
        that is as hot as it is.
        """
        network, config, last = self._network, self._config, self._network.layers
        if not self._sparse_input:
            self._place("features", nodes, network.widths[0])
        for layer in range(1, last + 1):
            inner, outer = network.widths[layer - 1], network.widths[layer]
            sparse = layer == 1 and self._sparse_input
            padded = inner if sparse else padded_inner(inner, config)
            padded += self.blocks(layer).behind
            self._place(f"weights{layer}", padded, outer)
            if layer > 1:
                turned = self.blocks_back(layer).behind + padded_inner(outer, config)
                self._place(f"weights{layer}_transposed", turned, inner)
            if network.aggregates(layer):
                every = (nodes,) * len(rows)
                self._name(f"product{layer}", self.stack(layer, every).rows, outer)
                spread = self.stack(layer, rows).rows
                self._place(f"aggregate_gradient{layer}", spread, outer)
            self._place(
                f"weight_gradient{layer}", padded, outer, kind="sums",
                block=None if sparse else config.rows,
            )  # fmt: skip
            if layer < last:
                apart = 2 * rows[layer] < nodes
                self._place(f"hidden{layer}", rows[layer] if apart else nodes, outer)
                if apart:
                    self._place(f"hidden{layer}", nodes, outer, key=f"infer_hidden{layer}")
                self._name(f"gradient{layer}", rows[layer], outer)
        self._place("logits", nodes, network.widths[-1], kind="sums")
        if rows[-1] == nodes:
            self.named["training_logits"] = self.named["logits"]
        else:
            self._place("training_logits", rows[-1], network.widths[-1], kind="sums")
        self._place(f"gradient{last}", rows[-1], network.widths[-1])

    def stack(self, layer: int, rows: Sequence[int]) -> Stack:
        """Rows of the operand of a layer's sparse product."""
        return Stack.of(self._network, layer, rows, self._config)

    def blocks(self, layer: int) -> Blocks:
        """Blocks of a layer's weights."""
        count, inner = self._network.blocks(layer), self._network.widths[layer - 1]
        sparse = layer == 1 and self._sparse_input
        pitch = inner if sparse else block_pitch(inner, self._config)
        return Blocks(count=count, rows=inner, pitch=pitch)

    def blocks_back(self, layer: int) -> Blocks:
        """Blocks of a layer's transposed weights."""
        count, outer = self._network.blocks(layer), self._network.widths[layer]
        return Blocks(count=count, rows=outer, pitch=block_pitch(outer, self._config))

    def every_block(self) -> dict[str, Blocks]:
        """Blocks of all weights, by tensor name."""
        layers = range(1, self._network.layers + 1)
        straight = {f"weights{layer}": self.blocks(layer) for layer in layers}
        return straight | {
            f"weights{layer}_transposed": self.blocks_back(layer) for layer in layers
        }

    def place_masters(self) -> None:
        """Place what the device needs to update the weights itself."""
        config, network = self._config, self._network
        for layer in range(1, network.layers + 1):
            gradient = self.named[f"weight_gradient{layer}"].layout
            columns = 2 * config.lanes * gradient.panels
            block = gradient.block
            self._place(f"masters{layer}", gradient.rows, columns, kind="masters", block=block)
            if layer > 1:
                inner = network.widths[layer - 1]
                self._place(f"identity{layer}", padded_inner(inner, config), inner)
        if config.left_banks > 1 or network.keeps_identity:
            self._place("zeros", config.left_depth, config.lanes)

    def first(self, name: str, rows: int) -> Tensor:
        """First rows of a tensor; as it is in inference, if it has more than in training."""
        tensor = self.named[name]
        if rows > tensor.rows:
            tensor = self.named[f"infer_{name}"]
        return replace(tensor, rows=rows)

    def stored(self, name: str) -> None:
        """Give a tensor a place in device memory, if it has none yet."""
        tensor = self.named[name]
        if tensor.stored is None:
            self._place(name, tensor.rows, tensor.features)

    def _name(self, name: str, rows: int, columns: int) -> None:
        self.named[name] = Tensor(name=name, rows=rows, features=columns)

    def _place(
        self, name: str, rows: int, columns: int, *, kind: str = "operand",
        block: int | None = None, key: str | None = None,
    ) -> None:  # fmt: skip
        key = key or name
        layout = TensorLayout(
            config=self._config, rows=rows, features=columns, kind=kind, block=block
        )
        layout = layout.at(self._allocator.allocate(key, layout.words))
        self.named[key] = Tensor(name=name, rows=rows, features=columns, stored=layout)
