# SPDX-License-Identifier: Apache-2.0
"""Items for on-chip memories as writes of groups, dealt at random."""

__all__ = ["group_writes"]


def group_writes(items, group, rng, **more):
    """Yield payloads that write `items`, pairs of an address and an item, group by group.

    A group takes one write or several; each enables some of the items. In the places of the
    others lie items as well, which would be seen in the memory if they were written.

    Parameters
    ----------
    items : list of (int, object)
    group : int
        Most items of a write.
    rng : numpy.random.Generator
    **more : int
        Further fields of the payload, such as a bank.
    """
    rows = {}
    for address, item in items:
        rows.setdefault(address // group, []).append((address % group, item))
    for number, row in rows.items():
        left = [row[index] for index in rng.permutation(len(row))]
        while left:
            count = int(rng.integers(1, len(left) + 1))
            write, left = left[:count], left[count:]
            lanes = [items[int(rng.integers(len(items)))][1] for _ in range(group)]
            for lane, item in write:
                lanes[lane] = item
            enable = sum(1 << lane for lane, _ in write)
            yield {"address": number, "enable": enable, "data": lanes, **more}
