# SPDX-License-Identifier: Apache-2.0
"""What is to lie in device memory, made ready while the device does something else."""

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import Device
from gcnloom.tensors.memory import TensorLayout

__all__ = ["Draft"]


class Draft:
    """Takes what a device with an empty memory would be given; touches none.

    Parameters
    ----------
    device : Device
        Only its sizes are looked at.

    Attributes
    ----------
    memory : Allocator
        Regions placed so far.
    """

    def __init__(self, device: Device) -> None:
        self.memory = device.empty_memory()
        self._writes: list[tuple[int, bytes]] = []

    def write(self, layout: TensorLayout, array: NDArray[np.integer]) -> None:
        """Keep a tensor's mantissas or sums, packed."""
        self.write_bytes(layout.address, layout.pack(array))

    def write_bytes(self, address: int, data: bytes) -> None:
        """Keep whole words of packed items."""
        self._writes.append((address, data))

    def give_to(self, device: Device) -> None:
        """Replace all that is in a device's memory."""
        device.clear(self.memory)
        for address, data in self._writes:
            device.write_bytes(address, data)
        self._writes.clear()
