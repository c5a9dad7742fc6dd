# SPDX-License-Identifier: Apache-2.0
"""Delayed scaling: this step's shifts from the last step's largest results."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gcnloom.layers import Network
from gcnloom_spec.number import shift_for

__all__ = ["Scales", "backward_exponents", "forward_exponents"]

FIRST_SHIFT = 8
MOST = 63


class Scales:
    """Exponents of the tensors that one pass requantises on the device.

    What is carried from step to step is the exponent at which a tensor just fits its operands;
    the shift follows from it and from the exponent of the sums, which changes whenever an
    input's exponent does.

    Parameters
    ----------
    width : int
        Operand width in bits.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.wanted: dict[int, int] = {}
        self.shifts: dict[int, int] = {}
        self._sums: dict[int, int] = {}

    def begin(self) -> None:
        """Forget the shifts of the last step."""
        self.shifts, self._sums = {}, {}

    def through(self, identifier: int, exponent: int) -> int:
        """Plan the requantising of sums at `exponent`; return the exponent of the operands."""
        wanted = self.wanted.get(identifier, exponent + FIRST_SHIFT)
        shift = min(MOST, max(0, wanted - exponent))
        self.shifts[identifier] = shift
        self._sums[identifier] = exponent
        return exponent + shift

    def exponents(self) -> dict[int, int]:
        """Exponents of this step's operands, by tensor number."""
        return {number: self._sums[number] + shift for number, shift in self.shifts.items()}

    def measured(self, envelopes: NDArray[np.int64]) -> bool:
        """Learn from a run's envelopes; return whether any shift would have been another."""
        changed = False
        for identifier, exponent in self._sums.items():
            peak = int(envelopes[identifier])
            if peak:
                shift = shift_for(peak, self.width)
                self.wanted[identifier] = exponent + shift
                changed |= shift != self.shifts[identifier]
        return changed

    def state(self, network: Network) -> dict[str, int]:
        """Exponents by tensor name, for a checkpoint."""
        names = network.tensor_names()
        return {names[identifier]: exponent for identifier, exponent in self.wanted.items()}

    def restore(self, network: Network, state: Mapping[str, int]) -> None:
        """Take up the exponents of a checkpoint."""
        self.wanted = {network.identifier(name): exponent for name, exponent in state.items()}


def forward_exponents(
    scales: Scales, network: Network, features: int, adjacency: int, weights: Sequence[int]
) -> list[int]:
    """Plan the shifts of a forward pass from the exponents of its inputs.

    Returns
    -------
    list of int
        Exponents of the features, of each hidden layer and of the logits' sums.
    """
    hidden = [features]
    for layer, exponent in enumerate(weights, start=1):
        sums = hidden[-1] + exponent
        if network.aggregates(layer):
            sums = scales.through(network.identifier(f"product{layer}"), sums) + adjacency
        if layer < network.layers:
            sums = scales.through(network.identifier(f"hidden{layer}"), sums)
        hidden.append(sums)
    return hidden


def backward_exponents(
    scales: Scales, network: Network, gradient: int, adjacency: int, weights: Sequence[int]
) -> dict[int, int]:
    """Plan the shifts of a backward pass from the exponent of the logits' gradient.

    Returns
    -------
    dict[int, int]
        Exponent of each layer's gradient, aggregated where the layer goes along the edges.
    """
    spread: dict[int, int] = {}
    for layer in range(network.layers, 0, -1):
        spread[layer] = gradient
        if network.aggregates(layer):
            identifier = network.identifier(f"aggregate_gradient{layer}")
            spread[layer] = scales.through(identifier, gradient + adjacency)
        if layer > 1:
            identifier = network.identifier(f"gradient{layer - 1}")
            gradient = scales.through(identifier, spread[layer] + weights[layer - 1])
    return spread
