# SPDX-License-Identifier: Apache-2.0
"""Where tensors lie in device memory: panels of vectors, and the regions that hold them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ConfigError, DataError, MemoryFullError
from gcnloom.tensors.items import pack_elements, unpack_elements
from gcnloom_spec.config import AcceleratorConfig, Packing
from gcnloom_spec.number import limits

__all__ = ["ADDRESSABLE", "Allocator", "TensorLayout"]

ADDRESSABLE = 1 << 32
"""Words of the largest device memory that commands can address."""
KINDS = ("operand", "sums", "masters")


class Allocator:
    """Hand out named regions of device memory, one after the other.

    Parameters
    ----------
    words : int
        Words the device memory has.
    memory_bytes : int
        Bytes of a word.
    most : int, optional
        Words that are handed out at most, where the host keeps those that the device has no room
        for; as many as the device has if left out.
    """

    def __init__(self, words: int, memory_bytes: int, most: int | None = None) -> None:
        self.words = words
        self.memory_bytes = memory_bytes
        self.most = words if most is None else most
        self.regions: dict[str, range] = {}
        self._next = 0

    @property
    def free(self) -> int:
        """Words not handed out yet."""
        return self.most - self._next

    @property
    def used(self) -> int:
        """Words handed out."""
        return self._next

    def allocate(self, name: str, words: int) -> int:
        """Reserve `words` words under `name`; return the first one's address.

        Raises
        ------
        MemoryFullError
            The region does not fit.
        DataError
            The name is taken, or `words` is negative.
        """
        if name in self.regions:
            raise DataError(f"region {name!r} is already allocated; try another name")
        if words < 0:
            raise DataError(f"region {name!r} has {words} words; try 0 or more")
        if words > self.free:
            raise MemoryFullError(
                f"{name!r} needs {words} words ({words * self.memory_bytes:,} bytes), "
                f"but {self.free} of {self.most} words are free; "
                "try a device with more memory or a smaller graph"
            )
        address = self._next
        self.regions[name] = range(address, address + words)
        self._next += words
        return address

    def arrange(self, names: Sequence[str]) -> None:
        """Let the regions handed out last lie in another order, from the first word of them on."""
        sizes = [len(self.regions[name]) for name in names]
        start = self._next - sum(sizes)
        if min((self.regions[name].start for name in names), default=start) != start:
            raise DataError(
                f"{len(names)} regions of {sum(sizes)} words are not the last ones handed out; "
                "try all from one of them on"
            )
        for name, size in zip(names, sizes, strict=True):
            self.regions[name] = range(start, start + size)
            start += size

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Give back, at the end of the block, every region allocated in it."""
        kept, start = dict(self.regions), self._next
        try:
            yield
        finally:
            self.regions, self._next = kept, start


@dataclass(frozen=True, kw_only=True)
class TensorLayout:
    """A matrix in device memory.

    Features are cut into panels of ``config.lanes``; a panel is `rows` consecutive vectors, and
    each block of `block` rows in it starts at a word of its own, so that a load can begin there.

    Parameters
    ----------
    config : AcceleratorConfig
    rows, features : int
        Shape of the matrix.
    kind : {"operand", "sums", "masters"}
        Mantissas of ``operand_width`` bits, raw sums of ``sum_width`` bits, or what the device
        updates, ``master_width`` bits each: by vector `lanes` weights, then their momenta.
    address : int
        First memory word.
    block : int, optional
        Rows of a block; all rows if left out.

    Examples
    --------
    >>> config = AcceleratorConfig(pes=1, lanes=2, rows=2, columns=2)
    >>> layout = TensorLayout(config=config, rows=3, features=3)
    >>> layout.words, layout.panel_address(1, 0)
    (2, 1)
    >>> layout.unpack(layout.pack(np.arange(9).reshape(3, 3))).tolist()
    [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    """

    config: AcceleratorConfig
    rows: int
    features: int
    kind: str = "operand"
    address: int = 0
    block: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"kind {self.kind!r} is unknown; try one of {', '.join(KINDS)}")
        if self.rows < 1 or self.features < 1:
            raise ConfigError(
                f"a tensor of {self.rows} x {self.features} is empty; try at least 1 x 1"
            )
        if self.block is not None and self.block < 1:
            raise ConfigError(f"block={self.block} is not positive; try at least 1")
        if self.address < 0:
            raise ConfigError(f"address={self.address} is negative; try 0 or more")

    @cached_property
    def packing(self) -> Packing:
        """How one vector sits in memory words."""
        config = self.config
        return {"operand": config.vector, "sums": config.sums, "masters": config.masters}[self.kind]

    @property
    def width(self) -> int:
        """Bits of an element."""
        config = self.config
        widths = {"operand": config.operand_width, "sums": config.sum_width}
        return widths.get(self.kind, config.master_width)

    @property
    def element_bytes(self) -> int:
        """Bytes of an element in memory."""
        config = self.config
        sizes = {"operand": config.operand_bytes, "sums": config.sum_bytes}
        return sizes.get(self.kind, config.master_bytes)

    @property
    def vector(self) -> int:
        """Elements of a vector."""
        return self.config.lanes * (2 if self.kind == "masters" else 1)

    @property
    def panels(self) -> int:
        """Panels of :attr:`vector` features."""
        return -(-self.features // self.vector)

    @property
    def block_rows(self) -> int:
        """Rows of a block, the last one of a panel excepted."""
        return self.rows if self.block is None else min(self.block, self.rows)

    @cached_property
    def panel_words(self) -> int:
        """Words from one panel to the next."""
        full, rest = divmod(self.rows, self.block_rows)
        return full * self.packing.words(self.block_rows) + self.packing.words(rest)

    @property
    def words(self) -> int:
        """Words of the whole tensor."""
        return self.panels * self.panel_words

    def at(self, address: int) -> "TensorLayout":
        """Return the same layout at another address."""
        return TensorLayout(
            config=self.config,
            rows=self.rows,
            features=self.features,
            kind=self.kind,
            address=address,
            block=self.block,
        )

    def panel_address(self, panel: int, row: int = 0) -> int:
        """Word at which `row` of `panel` starts; the row must be the first of its word."""
        if not (0 <= panel < self.panels and 0 <= row < self.rows):
            raise DataError(
                f"panel {panel}, row {row} is outside {self.panels} panels of {self.rows} rows; "
                "try indices within the tensor"
            )
        block, inside = divmod(row, self.block_rows)
        if inside % self.packing.items_per_word:
            raise DataError(
                f"row {row} starts inside a memory word; try a row that is a multiple of "
                f"{self.packing.items_per_word} rows into its block of {self.block_rows}"
            )
        start = block * self.packing.words(self.block_rows) + self.packing.words(inside)
        return self.address + panel * self.panel_words + start

    def of_panel(self, panel: int, rows: range) -> "TensorLayout":
        """Return the layout of some rows of a panel, which lie in one block."""
        return TensorLayout(
            config=self.config, rows=len(rows), features=self.vector, kind=self.kind,
            address=self.panel_address(panel, rows.start),
        )  # fmt: skip

    def pack(self, array: NDArray[np.integer]) -> bytes:
        """Bytes of an integer matrix of shape ``(rows, features)``; padding is zero."""
        if array.shape != (self.rows, self.features):
            raise DataError(
                f"the array is {array.shape}, the tensor ({self.rows}, {self.features}); "
                "try an array of the tensor's shape"
            )
        low, high = limits(self.width)
        least, most = int(array.min()), int(array.max())
        if least < low or most > high:
            raise DataError(
                f"value {most if most > high else least} does not fit {self.width} bits; "
                f"try values in {low}..{high}"
            )
        lanes = self.vector
        padded = np.zeros((self.rows, self.panels * lanes), dtype=np.int64)
        padded[:, : self.features] = array
        vectors = padded.reshape(self.rows, self.panels, lanes).transpose(1, 0, 2)
        items = np.zeros((self.panels, self._panel_items, self.packing.item_bytes), dtype=np.uint8)
        items[:, self._positions] = pack_elements(vectors, self.element_bytes, self.packing)
        return items.tobytes()

    def unpack(self, data: bytes) -> NDArray[np.int64]:
        """Matrix of shape ``(rows, features)``; inverse of :meth:`pack`."""
        expected = self.words * self.config.memory_bytes
        if len(data) != expected:
            raise DataError(
                f"{len(data)} bytes cannot be this tensor of {expected} bytes; "
                "try reading all of its words"
            )
        raw = np.frombuffer(data, dtype=np.uint8)
        items = raw.reshape(self.panels, self._panel_items, self.packing.item_bytes)
        vectors = unpack_elements(
            items[:, self._positions], self.vector, self.element_bytes, self.width
        )
        return vectors.transpose(1, 0, 2).reshape(self.rows, -1)[:, : self.features].copy()

    @property
    def _panel_items(self) -> int:
        return self.panel_words * self.config.memory_bytes // self.packing.item_bytes

    @cached_property
    def _positions(self) -> NDArray[np.int64]:
        """Item at which each row of a panel lies."""
        block, inside = np.divmod(np.arange(self.rows), self.block_rows)
        pitch = self.packing.words(self.block_rows) * self.config.memory_bytes
        positions: NDArray[np.int64] = block * (pitch // self.packing.item_bytes) + inside
        return positions
