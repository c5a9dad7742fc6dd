# SPDX-License-Identifier: Apache-2.0
"""The parts of a pass: its network, and sparse products with what their operands come from."""

from collections.abc import Iterable
from dataclasses import dataclass

from gcnloom.layers import Network
from gcnloom.lower.builder import Output, Tensor
from gcnloom.lower.matrices import Matrices
from gcnloom.lower.matrix import StoredMatrix
from gcnloom.lower.placement import Tensors
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Hop", "Made", "PassParts", "part_of"]

Made = tuple[range, Iterable[range]]
"""Panels of a product, and what emits the commands that make them and yields their rows."""


@dataclass(frozen=True, kw_only=True)
class PassParts:
    """What the passes of one network are made of, and whether the units are to take turns."""

    network: Network
    config: AcceleratorConfig
    matrices: Matrices
    tensors: Tensors
    serial: bool = False

    def panels(self, tensor: Tensor) -> int:
        """Panels of a tensor."""
        return -(-tensor.features // self.config.lanes)


@dataclass(frozen=True, kw_only=True)
class Hop:
    """A sparse product and how its operand comes to it."""

    matrix: StoredMatrix
    operand: Output
    panels: int


def part_of(onward: Hop | None) -> int:
    """Rows of a part if the next product takes its operand in parts, else 0."""
    return onward.matrix.columns if onward and onward.matrix.streamed else 0
