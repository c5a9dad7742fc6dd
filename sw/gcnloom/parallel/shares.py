# SPDX-License-Identifier: Apache-2.0
"""Dealing a range to workers as evenly as can be."""

from itertools import pairwise

__all__ = ["even_shares"]


def even_shares(total: int, workers: int) -> list[range]:
    """Consecutive ranges of ``range(total)`` whose lengths differ by one at most.

    Examples
    --------
    >>> even_shares(5, 3)
    [range(0, 1), range(1, 3), range(3, 5)]
    >>> even_shares(1, 2)
    [range(0, 0), range(0, 1)]
    """
    ends = [total * worker // workers for worker in range(workers + 1)]
    return [range(start, stop) for start, stop in pairwise(ends)]
