# SPDX-License-Identifier: Apache-2.0
"""Counter-based randomness: the same bits on every executor, in any order of asking.

Threefry-2x32 with 13 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
SC 2011), the fewest its authors found to pass BigCrush. One block is 64 bits and serves
:data:`BLOCK_FEATURES` consecutive features of a row. Each element draws one dropout
byte and one rounding byte.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BLOCK_FEATURES",
    "DROPOUT",
    "PARITY",
    "ROTATIONS",
    "ROUNDING",
    "ROUNDS",
    "draw",
    "threefry",
]

ROUNDS = 13
ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
PARITY = 0x1BD11BDA
BLOCK_FEATURES = 8
DROPOUT, ROUNDING = 0, 1
"""Purposes: which of an element's two bytes is drawn."""


def threefry(
    key: tuple[int, int], counter: tuple[NDArray[np.uint32], NDArray[np.uint32]]
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Encrypt counters under a key; both are pairs of 32-bit words."""
    keys = (np.uint32(key[0]), np.uint32(key[1]), np.uint32(key[0] ^ key[1] ^ PARITY))
    x = counter[0].astype(np.uint32) + keys[0]
    y = counter[1].astype(np.uint32) + keys[1]
    for index in range(ROUNDS):
        rotation = ROTATIONS[index % 8]
        x = x + y
        y = (y << np.uint32(rotation)) | (y >> np.uint32(32 - rotation))
        y = y ^ x
        if index % 4 == 3:
            group = index // 4 + 1
            x = x + keys[group % 3]
            y = y + keys[(group + 1) % 3] + np.uint32(group)
    return x, y


def draw(
    *,
    seed: int,
    step: int,
    tensor: int,
    purpose: int,
    rows: NDArray[np.integer],
    feature: int,
    count: int,
) -> NDArray[np.int64]:
    """Random bytes for `count` features from `feature` on, of each row.

    The key is (seed, step); the counter is (row, purpose : tensor : block), where a block is
    ``feature // BLOCK_FEATURES``. Byte ``feature % BLOCK_FEATURES`` of a block, least
    significant first and the first word before the second, belongs to the feature.

    Returns
    -------
    NDArray[np.int64]
        Shape ``(len(rows), count)``, values 0 to 255.
    """
    first = feature // BLOCK_FEATURES
    last = (feature + count - 1) // BLOCK_FEATURES
    blocks = np.arange(first, last + 1, dtype=np.uint32)
    low = np.repeat(np.asarray(rows, dtype=np.uint32), len(blocks))
    high = np.tile(np.uint32(purpose << 31 | tensor << 16) | blocks, len(rows))
    x, y = threefry((seed, step), (low, high))
    words = np.stack([x, y], axis=-1)
    octets = words.astype("<u4").view(np.uint8).reshape(len(rows), -1)
    start = feature - first * BLOCK_FEATURES
    return octets[:, start : start + count].astype(np.int64)
