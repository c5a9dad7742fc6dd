# SPDX-License-Identifier: Apache-2.0
"""Packed words: named bit fields, packed and unpacked by the million."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Word"]


@dataclass(frozen=True)
class Word:
    """A packed word; fields are listed from the least significant bit upwards.

    Parameters
    ----------
    name : str
        Used in error messages and generated documentation.
    fields : Mapping[str, int]
        Field name to width in bits, 1 to 63; negative widths are signed fields.
    """

    name: str
    fields: Mapping[str, int]

    def __post_init__(self) -> None:
        for field, width in self.fields.items():
            if not 1 <= abs(width) <= 63:
                raise ValueError(f"{self.name}.{field}: width {width} is outside 1..63 bits")
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))

    @cached_property
    def width(self) -> int:
        """Total number of bits."""
        return sum(abs(width) for width in self.fields.values())

    @cached_property
    def limbs(self) -> int:
        """Number of 64-bit limbs that hold the word."""
        return -(-self.width // 64)

    @cached_property
    def offsets(self) -> Mapping[str, int]:
        """Bit position of each field's least significant bit."""
        offsets, position = {}, 0
        for field, width in self.fields.items():
            offsets[field] = position
            position += abs(width)
        return MappingProxyType(offsets)

    def pack(self, **values: ArrayLike) -> NDArray[np.uint64]:
        """Pack fields into limbs, least significant first.

        Parameters
        ----------
        **values : array_like of int
            One entry per field, broadcast against each other. Fields left out are zero.

        Returns
        -------
        NDArray[np.uint64]
            Shape ``broadcast_shape + (limbs,)``.

        Raises
        ------
        ValueError
            A value does not fit its field, or a name is no field of this word.
        """
        unknown = values.keys() - self.fields.keys()
        if unknown:
            raise ValueError(f"{self.name} has no field {sorted(unknown)[0]!r}")
        arrays = {field: self._checked(field, value) for field, value in values.items()}
        shape = np.broadcast_shapes(*(array.shape for array in arrays.values()))
        packed = np.zeros((*shape, self.limbs), dtype=np.uint64)
        for field, array in arrays.items():
            width = self.fields[field]
            bits = array.astype(np.uint64) & np.uint64((1 << abs(width)) - 1)
            limb, offset = divmod(self.offsets[field], 64)
            packed[..., limb] |= bits << np.uint64(offset)
            if offset + abs(width) > 64:
                packed[..., limb + 1] |= bits >> np.uint64(64 - offset)
        return packed

    def unpack(self, packed: NDArray[np.uint64]) -> dict[str, NDArray[np.int64]]:
        """Split limbs (last axis) into one int64 array per field; inverse of :meth:`pack`."""
        values = {}
        for field, width in self.fields.items():
            limb, offset = divmod(self.offsets[field], 64)
            bits = packed[..., limb] >> np.uint64(offset)
            if offset + abs(width) > 64:
                bits = bits | (packed[..., limb + 1] << np.uint64(64 - offset))
            value = (bits & np.uint64((1 << abs(width)) - 1)).astype(np.int64)
            if width < 0:
                sign = np.int64(1) << (abs(width) - 1)
                value = (value ^ sign) - sign
            values[field] = value
        return values

    def _checked(self, field: str, value: ArrayLike) -> NDArray[np.int64]:
        """Integers that fit the field, or an error; what is no integer is never rounded."""
        array = np.asarray(value)
        if array.size and array.dtype.kind not in "iub":
            raise ValueError(f"{self.name}.{field}: {array.dtype} values, not integers")
        width = self.fields[field]
        low, high = (
            (0, (1 << width) - 1) if width > 0 else (-(1 << (-width - 1)), (1 << (-width - 1)) - 1)
        )
        if array.size and (array.min() < low or array.max() > high):
            worst = array.max() if array.max() > high else array.min()
            raise ValueError(f"{self.name}.{field}: value {worst} is outside {low}..{high}")
        return array.astype(np.int64)
