# SPDX-License-Identifier: Apache-2.0
"""Items of device memory as bytes: vectors of elements, edge beats, drain-order entries."""

import numpy as np
from numpy.typing import NDArray

from gcnloom_spec.config import AcceleratorConfig, Packing
from gcnloom_spec.number import wrap

__all__ = [
    "pack_beats",
    "pack_elements",
    "pack_items",
    "pack_order",
    "unpack_beats",
    "unpack_elements",
]


def pack_elements(
    values: NDArray[np.integer], element_bytes: int, packing: Packing
) -> NDArray[np.uint8]:
    """Turn items of integer elements (last axis) into bytes, lowest first, padded with zeros.

    Parameters
    ----------
    values : NDArray[np.integer]
        Shape ``(..., elements)``; only the low ``8 * element_bytes`` bits are kept.
    element_bytes : int
        1, 2, 4 or 8.
    packing : Packing
        Says how many bytes an item takes.

    Returns
    -------
    NDArray[np.uint8]
        Shape ``(..., packing.item_bytes)``.
    """
    low = np.ascontiguousarray(values).astype(f"<u{element_bytes}")
    raw = low.view(np.uint8).reshape(*values.shape[:-1], values.shape[-1] * element_bytes)
    items = np.zeros((*values.shape[:-1], packing.item_bytes), dtype=np.uint8)
    items[..., : raw.shape[-1]] = raw
    return items


def unpack_elements(
    items: NDArray[np.uint8], count: int, element_bytes: int, width: int
) -> NDArray[np.int64]:
    """Read `count` signed elements of `width` bits from the bytes (last axis) of each item.

    Bits of an element above its width are ignored.
    """
    raw = np.ascontiguousarray(items[..., : count * element_bytes])
    return wrap(raw.view(f"<u{element_bytes}").astype(np.int64), width)


def pack_items(
    values: NDArray[np.uint64], element_bytes: int, packing: Packing, memory_bytes: int
) -> bytes:
    """Bytes of consecutive items of shape ``(count, elements)``, filled up to whole words."""
    items = pack_elements(values, element_bytes, packing).tobytes()
    return items + bytes(packing.words(len(values)) * memory_bytes - len(items))


def pack_beats(config: AcceleratorConfig, beats: NDArray[np.uint64]) -> bytes:
    """Bytes of edge beats of shape ``(count, pes)``, bit behind bit as ``edge_word`` says."""
    packing, count = config.edge_beat, len(beats)
    octets = np.ascontiguousarray(beats).astype("<u8").view(np.uint8).reshape(*beats.shape, 8)
    bits = np.unpackbits(octets, axis=-1, count=config.edge_bits, bitorder="little")
    raw = np.packbits(bits.reshape(count, -1), axis=-1, bitorder="little")
    items = np.zeros((count, packing.item_bytes), dtype=np.uint8)
    items[:, : raw.shape[-1]] = raw
    data = items.tobytes()
    return data + bytes(packing.words(count) * config.memory_bytes - len(data))


def unpack_beats(config: AcceleratorConfig, items: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Edges of beats that :func:`pack_beats` packed, a row of bytes each."""
    bits = np.unpackbits(
        items, axis=-1, count=config.pes * config.edge_bits, bitorder="little"
    ).reshape(len(items), config.pes, config.edge_bits)
    octets = np.zeros((len(items), config.pes, 8), dtype=np.uint8)
    packed = np.packbits(bits, axis=-1, bitorder="little")
    octets[..., : packed.shape[-1]] = packed
    edges: NDArray[np.uint64] = octets.view("<u8")[..., 0].astype(np.uint64)
    return edges


def pack_order(config: AcceleratorConfig, entries: NDArray[np.uint64]) -> bytes:
    """Bytes of drain-order entries of shape ``(count,)``, packed as ``order_word`` says."""
    packing = config.order
    element_bytes = min(8, packing.item_bytes)
    return pack_items(entries.reshape(-1, 1), element_bytes, packing, config.memory_bytes)
