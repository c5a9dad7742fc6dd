# SPDX-License-Identifier: Apache-2.0
"""The on-chip memories that loads fill and emissions are written to."""

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ProgramError
from gcnloom.tensors.items import unpack_beats, unpack_elements, unpack_plain_beats
from gcnloom_sim.model.checks import check_range
from gcnloom_spec.commands import Load
from gcnloom_spec.config import AcceleratorConfig, Packing
from gcnloom_spec.isa import Destination, Target
from gcnloom_spec.items import load_group, load_packing

__all__ = ["Memories"]

VECTOR_MEMORIES = {Target.OPERAND: "operand", Target.LEFT: "left", Target.RIGHT: "right"}
DESTINATIONS = {
    Destination.OPERAND: "operand",
    Destination.LEFT: "left",
    Destination.RIGHT: "right",
}


class Memories:
    """Zero at first, like the block RAM of an FPGA; kept from program to program.

    Attributes
    ----------
    operand, left, right : NDArray[np.int64]
        A row a vector; banks side by side.
    masks : dict[Target, NDArray[np.bool_]]
        A row a vector.
    edges : NDArray[np.uint64]
        Packed edges, a row a beat.
    order : NDArray[np.uint64]
        Packed drain-order entries.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        lanes = config.lanes
        self.operand = np.zeros((config.operand_depth, lanes), dtype=np.int64)
        self.left = np.zeros((config.left_depth, config.left_banks * lanes), dtype=np.int64)
        self.right = np.zeros((config.right_depth, config.columns), dtype=np.int64)
        self.masks = {
            target: np.zeros((depth, lanes), dtype=np.bool_)
            for target, depth in (
                (Target.MASK_AGGREGATE, config.mask_depth if config.sparse else 0),
                (Target.MASK_TRANSFORM, config.mask_depth),
            )
        }
        self.edges = np.zeros((config.edge_depth, config.pes), dtype=np.uint64)
        self.order = np.zeros(config.order_depth, dtype=np.uint64)

    def packing(self, target: int) -> Packing:
        """How the items of a target lie in device memory."""
        if target not in list(Target):
            raise ProgramError(f"target {target} is unknown; try one of isa.Target")
        return load_packing(self.config, Target(target))

    def load(self, command: Load, raw: NDArray[np.uint8]) -> None:
        """Unpack `raw`, the bytes of the command's words, and write its items."""
        packing = self.packing(command.target)
        used = command.count * packing.item_bytes
        items = raw[:used].reshape(command.count, packing.item_bytes)
        target = Target(command.target)
        self._check_base(target, command.base)
        if target in (Target.EDGES, Target.PLAIN_EDGES):
            part = check_range("edges", command.base, command.count, self.config.edge_depth)
            self.edges[part] = (
                unpack_beats(self.config, items)
                if target == Target.EDGES
                else unpack_plain_beats(self.config, items, command.weight)
            )
        elif target == Target.ORDER:
            part = check_range("order", command.base, command.count, self.config.order_depth)
            size = min(8, packing.item_bytes)
            self.order[part] = _words(items, size)
        else:
            width = self.config.operand_width
            vectors = unpack_elements(items, self.config.lanes, self.config.operand_bytes, width)
            self._load_vectors(command, target, vectors)

    def _check_base(self, target: Target, base: int) -> None:
        group = load_group(self.config, target)
        if base % group:
            raise ProgramError(f"base {base} is no multiple of {group}, which are loaded at a time")

    def _load_vectors(self, command: Load, target: Target, vectors: NDArray[np.int64]) -> None:
        if target in self.masks:
            part = check_range("mask", command.base, command.count, len(self.masks[target]))
            self.masks[target][part] = vectors > 0
        else:
            self._write(VECTOR_MEMORIES[target], command.base, command.bank, vectors)

    def write(self, destination: int, base: int, bank: int, vectors: NDArray[np.int64]) -> None:
        """Write emitted operands to the memory of a destination."""
        self._write(DESTINATIONS[Destination(destination)], base, bank, vectors)

    def _write(self, name: str, base: int, bank: int, vectors: NDArray[np.int64]) -> None:
        memory: NDArray[np.int64] = getattr(self, name)
        lanes = self.config.lanes
        part = check_range(name, base, len(vectors), len(memory))
        if name != "operand":
            check_range(f"{name} bank", bank, 1, memory.shape[1] // lanes)
        else:
            bank = 0
        memory[part, bank * lanes : (bank + 1) * lanes] = vectors


def _words(items: NDArray[np.uint8], size: int) -> NDArray[np.uint64]:
    raw = np.ascontiguousarray(items[:, :size])
    return raw.view(f"<u{size}").astype(np.uint64)[:, 0]
