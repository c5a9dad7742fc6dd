# SPDX-License-Identifier: Apache-2.0
"""Random memory timings and requests."""

from dataclasses import fields

import numpy as np

from gcnloom_sim.memory import Bus, Dram, Tiered

__all__ = ["random_bus", "random_dram", "random_requests", "random_tiers"]


def random_dram(rng):
    """Timings that no part has, so that every one matters."""
    times = {
        item.name: int(rng.integers(1, 12))
        for item in fields(Dram)
        if item.name not in ("name", "refresh", "refresh_interval")
    }
    width = int(rng.choice([1, 2, 4, 8]))
    most = width * int(rng.choice([1, 2, 4, 8]))
    return Dram(
        **times
        | {
            "name": "random",
            "bytes_per_clock": width,
            "least_burst": int(rng.choice([width, most])),
            "most_burst": most,
            "row_bytes": 256 * int(rng.integers(1, 4)),
            "refresh": int(rng.integers(1, 30)),
            "refresh_interval": int(rng.integers(60, 400)),
        }
    )


def random_bus(rng):
    """Any width, any latency."""
    return Bus(bytes_per_cycle=int(rng.integers(1, 100)), latency=int(rng.integers(1, 50)))


def random_tiers(rng):
    """Most of the places that are asked for in block RAM, behind which others are slow."""
    slow = Bus(bytes_per_cycle=int(rng.integers(1, 4)), latency=int(rng.integers(1, 50)))
    far = random_dram(rng) if rng.random() < 0.5 else slow
    return Tiered(near_kilobytes=int(rng.integers(3, 8)), far=far)


def random_requests(rng, word_bytes, count):
    """Runs of neighbours at a few places, now in a hurry, now not."""
    start = rng.integers(0, 8192 // word_bytes, count)
    breaks = rng.random(count) < 0.3
    places = np.where(breaks, start, 0)
    for index in range(1, count):
        if not breaks[index]:
            places[index] = places[index - 1] + 1
    gaps = np.where(rng.random(count) < 0.1, rng.integers(0, 300, count), rng.integers(0, 3, count))
    return list(zip(np.cumsum(gaps).tolist(), places.tolist(), strict=True))
