# SPDX-License-Identifier: Apache-2.0
"""What a training asks of whatever multiplies: a forward and a backward pass, in real numbers."""

from abc import ABC, abstractmethod
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import Device
from gcnloom.layers import Network
from gcnloom.lower.graph import LoweredGraph, OrderedGraph
from gcnloom.training.scaling import Scales

__all__ = ["MOST_REPEATS", "PASSES", "Passes"]

Array = NDArray[np.float64]
PASSES = ("forward", "infer", "backward")
MOST_REPEATS = 10
"""Runs of a pass until its shifts fit its own results; two are the rule."""


class Passes(ABC):
    """Passes of a network on a graph, with the scales that they carry from step to step.

    Parameters
    ----------
    network : Network
    device : Device

    Attributes
    ----------
    graph : LoweredGraph or OrderedGraph
    scales : dict[str, Scales]
        By pass.
    counters : dict[str, Counter[str]]
        Sum of the device's counters, by pass; ``"training"``: of whole runs.
    runs : Counter[str]
        How often each pass ran.
    clipped : dict[str, int]
        Clipped results of the last run of each pass.
    seconds : float
        Time the device took for all runs.
    link_bytes : int
        What host and device memory exchanged while routines ran.
    saturations : int
        Results that routines clipped.
    necessary_macs, unsampled_macs : dict[str, int]
        See :class:`gcnloom.lower.network.LoweredNetwork`.
    """

    graph: LoweredGraph | OrderedGraph
    necessary_macs: dict[str, int]
    unsampled_macs: dict[str, int]

    def __init__(self, network: Network, device: Device) -> None:
        self.network, self.device = network, device
        self._width = device.config.operand_width
        self.scales = {name: Scales(self._width) for name in PASSES}
        self.counters: dict[str, Counter[str]] = {name: Counter() for name in (*PASSES, "training")}
        self.runs: Counter[str] = Counter()
        self.clipped = dict.fromkeys(PASSES, 0)
        self.seconds = 0.0
        self.link_bytes = 0
        self.saturations = 0
        self._settled: set[str] = set()

    @property
    def multipliers(self) -> int:
        """Multipliers of all that multiplies."""
        return self.device.config.multipliers

    @abstractmethod
    def forward(self, weights: list[Array], *, step: int, training: bool) -> Array:
        """Logits of every node, shape ``(nodes, classes)``, NaN where they are not known here."""

    @abstractmethod
    def backward(self, gradient: Array, *, step: int) -> list[Array]:
        """Gradients of all weights from the gradient of the logits of the last forward pass."""

    def totals(self) -> dict[str, Counter[str]]:
        """Counters by pass, of all devices."""
        return self.counters

    def logits(self, weights: list[Array]) -> Array:
        """Logits without dropout, at shifts that fit them."""
        for _ in range(MOST_REPEATS):
            logits = self.forward(weights, step=0, training=False)
            if self.settled("infer"):
                break
        return logits

    def settled(self, name: str) -> bool:
        """Whether the last run of a pass used the shifts that its own results call for."""
        return name in self._settled

    def _learn(self, name: str, envelopes: NDArray[np.int64]) -> None:
        """Learn the next shifts of a pass from what its run left."""
        self._settled.discard(name)
        if not self.scales[name].measured(envelopes):
            self._settled.add(name)
        self.runs[name] += 1

    def _with_outside(self, shifts: dict[int, int]) -> dict[int, int]:
        """Shifts of a forward pass, with those of the rows that the loss does not see."""
        names = self.network.tensor_names()
        outside = {self.network.outside(names[key]): shift for key, shift in shifts.items()}
        return shifts | outside
