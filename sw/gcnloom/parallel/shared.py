# SPDX-License-Identifier: Apache-2.0
"""Passes that several workers do together: statistics, exponents and counters in common."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import Device
from gcnloom.layers import Network
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.worker import ENGINES, Worker
from gcnloom.training.passes import PASSES, Passes
from gcnloom_spec.number import exponent_for
from gcnloom_spec.registers import COUNTERS

__all__ = ["SharedPasses", "common_exponent"]

NOTHING = np.iinfo(np.int64).min


class SharedPasses(Passes):
    """Passes of which each worker does a part on its device, at shifts that all have in common.

    Parameters
    ----------
    network : Network
    device : Device
    communicator : Communicator

    Attributes
    ----------
    macs : dict[str, Counter[str]]
        Necessary multiplications that this device did, by pass and engine.
    """

    def __init__(self, network: Network, device: Device, communicator: Communicator) -> None:
        super().__init__(network, device)
        self.communicator = communicator
        self.macs = {name: Counter(dict.fromkeys(ENGINES, 0)) for name in PASSES}

    @property
    def multipliers(self) -> int:
        """Multipliers of all devices, as many each as this one has."""
        return self.device.config.multipliers * self.communicator.size

    def totals(self) -> dict[str, Counter[str]]:
        """Counters by pass: sums of all devices, of cycles the largest."""
        names = list(COUNTERS)
        mine = [[self.counters[part][name] for name in names] for part in self.counters]
        every = self.communicator.table("end", mine)
        total = every.sum(axis=0)
        total[:, names.index("cycles")] = every[:, :, names.index("cycles")].max(axis=0)
        return {
            part: Counter(dict(zip(names, row, strict=True)))
            for part, row in zip(self.counters, total.tolist(), strict=True)
        }

    def _common_exponent(self, own: NDArray[np.float64]) -> int:
        """Smallest exponent at which every worker's values fit; 0 if they are all zero."""
        return common_exponent(self.communicator, own, self._width)

    def _count(self, name: str, worker: Worker) -> None:
        """Share the statistics of a pass, and learn the next shifts from them."""
        tensors = list(self.scales[name].shifts)
        envelopes = np.zeros_like(worker.envelopes)
        envelopes[tensors] = self._reduce(worker.envelopes[tensors], "or")
        clipped = np.array([worker.saturations[tensors].sum() + worker.clipped], dtype=np.int64)
        self.clipped[name] = int(self._reduce(clipped, "sum")[0])
        self.counters[name].update(worker.counters)
        self.macs[name].update(worker.macs)
        self._learn(name, envelopes)

    def _reduce(self, array: NDArray[np.int64], combine: str) -> NDArray[np.int64]:
        return self.communicator.all_reduce("statistics", array, combine)


def common_exponent(communicator: Communicator, own: NDArray[np.float64], width: int) -> int:
    """Smallest exponent at which every worker's values fit; 0 if they are all zero."""
    least = exponent_for(own, width) if own.any() else NOTHING
    found = communicator.all_reduce("statistics", np.array([least], dtype=np.int64), "max")
    return 0 if found[0] == NOTHING else int(found[0])
