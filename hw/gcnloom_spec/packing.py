# SPDX-License-Identifier: Apache-2.0
"""How items are packed into the words of device memory."""

from dataclasses import dataclass

__all__ = ["Packing", "power_of_two"]


def power_of_two(number: int) -> int:
    """Smallest power of two that is at least `number`."""
    return 1 << (number - 1).bit_length()


@dataclass(frozen=True, kw_only=True)
class Packing:
    """How items of one kind sit in device-memory words.

    Items no longer than a word are padded to a power of two and share words, the first item in
    the lowest bytes; longer items are padded to whole words, lowest bytes first.
    """

    item_bytes: int
    items_per_word: int
    words_per_item: int

    @classmethod
    def of(cls, raw_bytes: int, memory_bytes: int) -> "Packing":
        """Packing of items of `raw_bytes` in words of `memory_bytes`."""
        if raw_bytes <= memory_bytes:
            padded = power_of_two(raw_bytes)
            return cls(item_bytes=padded, items_per_word=memory_bytes // padded, words_per_item=1)
        words = -(-raw_bytes // memory_bytes)
        return cls(item_bytes=words * memory_bytes, items_per_word=1, words_per_item=words)

    def words(self, count: int) -> int:
        """Memory words that hold `count` consecutive items."""
        return -(-count // self.items_per_word) * self.words_per_item
