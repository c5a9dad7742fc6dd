# SPDX-License-Identifier: Apache-2.0
"""Samplers as loops over one vertex and one neighbour at a time, in Python integers."""

from math import cos, pi, sin
from statistics import NormalDist

ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
MASK = (1 << 32) - 1


def block(key, counter):
    """Threefry-2x32-13 of one counter, as its authors write it down."""
    keys = (key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDA)
    x, y = (counter[0] + keys[0]) & MASK, (counter[1] + keys[1]) & MASK
    for index in range(13):
        turn = ROTATIONS[index % 8]
        x = (x + y) & MASK
        y = ((y << turn) | (y >> (32 - turn))) & MASK
        y ^= x
        if index % 4 == 3:
            group = index // 4 + 1
            x = (x + keys[group % 3]) & MASK
            y = (y + keys[(group + 1) % 3] + group) & MASK
    return x, y


def uniform(seed, number, layer, vertex, other):
    """A vertex's or an edge's uniform variable."""
    x, y = block(block((seed, 0x5A4D), (number, layer)), (vertex, other))
    return (((x << 32 | y) >> 11) + 0.5) / 2**53


def normal(seed, kappa, iteration, layer, vertex, other):
    """Its normal variable in an iteration."""
    number, phase = divmod(iteration, kappa)
    angle = pi * phase / (2 * kappa)
    first, second = (
        NormalDist().inv_cdf(uniform(seed, start, layer, vertex, other))
        for start in (number, number + 1)
    )
    return cos(angle) * first + sin(angle) * second


def labor(matrix, target, fanout, draw):
    """Sources of a vertex under LABOR-0; `draw` gives a source's normal variable."""
    there = _neighbours(matrix, target)
    return [each for each in there if NormalDist().cdf(draw(each, each)) <= fanout / len(there)]


def neighbour(matrix, target, fanout, draw):
    """Sources of a vertex under neighbour sampling; `draw` gives an edge's normal variable."""
    there = _neighbours(matrix, target)
    if len(there) <= fanout:
        return there
    return sorted(sorted(there, key=lambda source: draw(target, source))[:fanout])


def _neighbours(matrix, target):
    row = matrix[[target]].tocoo()
    return [int(each) for each in row.coords[1] if each != target]
