# SPDX-License-Identifier: Apache-2.0
"""Items of device memory as bytes: vectors of elements, edge beats, drain-order entries."""

import numpy as np
from numpy.typing import NDArray

from gcnloom_spec.config import AcceleratorConfig, Packing
from gcnloom_spec.items import edge_word
from gcnloom_spec.number import wrap

__all__ = [
    "pack_beats",
    "pack_elements",
    "pack_items",
    "pack_order",
    "pack_plain_beats",
    "unpack_beats",
    "unpack_elements",
    "unpack_plain_beats",
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
    return _pack_bits(config, beats, config.edge_bits, config.edge_beat)


def pack_plain_beats(config: AcceleratorConfig, beats: NDArray[np.uint64]) -> bytes:
    """Bytes of edge beats without the weights of their edges.

    An edge that only clears its sum, first and of weight zero, is marked by not being valid.
    """
    low, high = _around_weight(config)
    word = edge_word(config)
    fields = word.unpack(beats[..., np.newaxis])
    first, valid = (np.uint64(1 << word.offsets[name]) for name in ("first", "valid"))
    there = fields["valid"] > 0
    clears = there & (fields["first"] > 0) & (fields["weight"] == 0)
    beats = np.where(there, beats, beats & ~first)
    beats = np.where(clears, beats & ~valid, beats)
    plain = beats & np.uint64((1 << low) - 1) | beats >> np.uint64(high) << np.uint64(low)
    bits = config.edge_bits - config.operand_width
    return _pack_bits(config, plain, bits, config.plain_beat)


def unpack_beats(config: AcceleratorConfig, items: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Edges of beats that :func:`pack_beats` packed, a row of bytes each."""
    return _unpack_bits(config, items, config.edge_bits)


def unpack_plain_beats(
    config: AcceleratorConfig, items: NDArray[np.uint8], weight: int
) -> NDArray[np.uint64]:
    """Edges of beats that :func:`pack_plain_beats` packed, each valid one with the given weight."""
    low, high = _around_weight(config)
    word = edge_word(config)
    first, valid = (np.uint64(word.offsets[name]) for name in ("first", "valid"))
    plain = _unpack_bits(config, items, config.edge_bits - config.operand_width)
    below = np.uint64((1 << low) - 1)
    beats = plain & below | plain >> np.uint64(low) << np.uint64(high)
    bits = np.uint64((weight & ((1 << config.operand_width) - 1)) << low)
    weighted = np.where(beats >> valid & np.uint64(1), beats | bits, beats)
    there: NDArray[np.uint64] = weighted | (beats >> first & np.uint64(1)) << valid
    return there


def _around_weight(config: AcceleratorConfig) -> tuple[int, int]:
    """First bit of an edge's weight, and the first behind it."""
    low = edge_word(config).offsets["weight"]
    return low, low + config.operand_width


def _pack_bits(
    config: AcceleratorConfig, values: NDArray[np.uint64], width: int, packing: Packing
) -> bytes:
    count = len(values)
    octets = np.ascontiguousarray(values).astype("<u8").view(np.uint8).reshape(*values.shape, 8)
    bits = np.unpackbits(octets, axis=-1, count=width, bitorder="little")
    raw = np.packbits(bits.reshape(count, -1), axis=-1, bitorder="little")
    items = np.zeros((count, packing.item_bytes), dtype=np.uint8)
    items[:, : raw.shape[-1]] = raw
    data = items.tobytes()
    return data + bytes(packing.words(count) * config.memory_bytes - len(data))


def _unpack_bits(
    config: AcceleratorConfig, items: NDArray[np.uint8], width: int
) -> NDArray[np.uint64]:
    bits = np.unpackbits(items, axis=-1, count=config.pes * width, bitorder="little")
    octets = np.zeros((len(items), config.pes, 8), dtype=np.uint8)
    packed = np.packbits(bits.reshape(len(items), config.pes, width), axis=-1, bitorder="little")
    octets[..., : packed.shape[-1]] = packed
    values: NDArray[np.uint64] = octets.view("<u8")[..., 0].astype(np.uint64)
    return values


def pack_order(config: AcceleratorConfig, entries: NDArray[np.uint64]) -> bytes:
    """Bytes of drain-order entries of shape ``(count,)``, packed as ``order_word`` says."""
    packing = config.order
    element_bytes = min(8, packing.item_bytes)
    return pack_items(entries.reshape(-1, 1), element_bytes, packing, config.memory_bytes)
