# SPDX-License-Identifier: Apache-2.0
"""Device memory of each worker: what was handed out, by kind, and how much there should be."""

from typing import Any

from gcnloom.device import Device
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.costs import Volume

__all__ = ["HELD", "held_bytes", "memory_by_rank", "mop_features"]

HELD = ("topology", "features", "weights", "programs")
"""Schedules of sparse matrices; tensors of rows of nodes; weights and their gradients; commands."""


def held_bytes(device: Device) -> dict[str, int]:
    """Bytes of device memory handed out by kind, which none is given back of during a training."""
    held = dict.fromkeys(HELD, 0)
    for name, region in device.memory.regions.items():
        held[_kind(name)] += len(region) * device.config.memory_bytes
    return held


def memory_by_rank(device: Device, communicator: Communicator) -> dict[str, Any]:
    """Peak bytes of every worker's device memory by rank; all workers call it together.

    Returns
    -------
    dict
        ``peak``, and what it consists of, by :data:`HELD`.
    """
    held = held_bytes(device)
    table = communicator.table("end", [sum(held.values()), *held.values()])
    return dict(zip(("peak", *HELD), table.T.tolist(), strict=True))


def mop_features(volume: Volume, *, sparse: bool) -> float:
    """Bytes of a worker's tensors under mixture of parallelism: ``sum(N * D * b) / P``.

    Of each layer with I features in and D out: its input, the product in rows and in columns, and
    what is aggregated, once in training and once in inference; backward the gradient in columns
    before and after the aggregation and in rows, and the input's. Raw sums of logits are wider.

    Parameters
    ----------
    volume : Volume
    sparse : bool
        Whether the input's features are a sparse matrix, which counts as topology.
    """
    b, elements = volume.operand_bytes, 0
    for rows in (volume.rows, volume.everywhere):
        for layer in volume.layers:
            inner, outer = volume.widths[layer - 1], volume.widths[layer]
            before, after = rows[layer - 1], rows[layer]
            last = layer == len(volume.widths) - 1
            elements += before * inner * b if layer > 1 or not sparse else 0
            elements += 2 * before * outer * b
            elements += after * outer * (volume.sum_bytes if last else b)
    for layer in volume.layers:
        inner, outer = volume.widths[layer - 1], volume.widths[layer]
        before, after = volume.rows[layer - 1], volume.rows[layer]
        elements += (after + 2 * before) * outer * b
        elements += before * inner * b if layer > 1 else 0
    return elements / volume.workers


def _kind(name: str) -> str:
    """Kind of a region, by the name that it was handed out under."""
    if ".beats" in name or ".order" in name:
        return "topology"
    if name.startswith("program "):
        return "programs"
    return "weights" if name.startswith("weight") else "features"
