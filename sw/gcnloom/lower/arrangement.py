# SPDX-License-Identifier: Apache-2.0
"""Regions of device memory in the order of their heat: the first words are those moved most."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gcnloom.lower.builder import Tensor
from gcnloom.lower.matrix import StoredMatrix
from gcnloom.programs.access import DEVICE, accesses_of
from gcnloom.programs.program import Program
from gcnloom.programs.segments import relocate
from gcnloom.tensors.memory import Allocator
from gcnloom_spec.commands import Command, Step
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Arrangement"]


class Arrangement:
    """New places for the regions of a network, and for whatever names the old ones.

    The heat of a region are the words that an epoch reads and writes there, for each word that it
    has. The hottest comes first, so that a memory whose first words are faster than the others
    has there what gains most by it; regions as hot as each other keep their order.

    Parameters
    ----------
    allocator : Allocator
        Gets the regions' new places.
    begin : int
        The first word of them.
    epoch : iterable of Program
        What an epoch runs.
    config : AcceleratorConfig
    """

    def __init__(
        self, allocator: Allocator, begin: int, epoch: Iterable[Program], config: AcceleratorConfig
    ) -> None:
        held = {name: words for name, words in allocator.regions.items() if words.start >= begin}
        filled = [name for name, words in held.items() if words]
        self._before = [held[name] for name in filled]
        heat = self._heat(epoch, config)
        ranked = [filled[index] for index in np.argsort(-heat, kind="stable")]
        allocator.arrange([*ranked, *(name for name, words in held.items() if not words)])
        self._starts = np.array([allocator.regions[name].start for name in filled], dtype=np.int64)

    def _heat(self, epoch: Iterable[Program], config: AcceleratorConfig) -> NDArray[np.float64]:
        """Words moved for each word of every region."""
        moved = [
            span
            for program in epoch
            for command in program.commands
            for span in _moved(command, config)
        ]
        spans = np.array(moved, dtype=np.int64).reshape(-1, 2)
        which = self._regions_of(spans[:, 0])
        count = len(self._before)
        words = np.bincount(which, spans[:, 1] - spans[:, 0], minlength=count).astype(np.float64)
        sizes: NDArray[np.int64] = np.array([len(each) for each in self._before])
        return words / sizes

    def _regions_of(self, addresses: NDArray[np.int64]) -> NDArray[np.int64]:
        firsts = np.array([each.start for each in self._before], dtype=np.int64)
        return np.searchsorted(firsts, addresses, side="right") - 1

    def address(self, before: int) -> int:
        """Return the new address of a word."""
        region = int(self._regions_of(np.array([before]))[0])
        return before - self._before[region].start + int(self._starts[region])

    def program(self, program: Program) -> Program:
        """Program that finds everything in its new place."""
        words = program.words.copy()
        relocate(words, self._before, self._starts, 1)
        return replace(program, words=words, _sites=[])

    def tensors(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors with their new places."""
        return {
            name: replace(tensor, stored=tensor.stored.at(self.address(tensor.stored.address)))
            if tensor.stored
            else tensor
            for name, tensor in tensors.items()
        }

    def matrices(self, matrices: Iterable[StoredMatrix]) -> tuple[StoredMatrix, ...]:
        """Matrices with their new places."""
        return tuple(
            replace(
                matrix,
                orders=self._addresses(matrix.orders),
                tiles=tuple(self._addresses(tiles) for tiles in matrix.tiles),
            )
            for matrix in matrices
        )

    def _addresses(self, before: Sequence[int]) -> tuple[int, ...]:
        return tuple(self.address(each) for each in before)


def _moved(command: Command, config: AcceleratorConfig) -> Iterator[tuple[int, int]]:
    """Yield the words that a command reads or writes, as often as it does."""
    for access in accesses_of(command, config):
        if access.space == DEVICE:
            yield access.low, access.high
    if isinstance(command, Step):
        # Weights and momenta, which it writes back, it reads as well.
        yield command.address, command.address + config.masters.words(command.count)
