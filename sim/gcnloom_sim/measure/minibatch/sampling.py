# SPDX-License-Identifier: Apache-2.0
"""Vertices and bytes of sampled batches: by batch size, by cooperation, by dependence."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import cos, pi

import numpy as np
from scipy.special import ndtr
from scipy.stats import kstest

from gcnloom.sampling.draws import Draws
from gcnloom_sim.measure.minibatch.stream import SEED, Stream, ground

__all__ = [
    "CACHE", "COOPERATION", "DRAWS", "INPUTS", "PRODUCT",
    "cache_rows", "cooperation_rows", "draw_rows", "input_rows", "product_rows",
]  # fmt: skip

Say = Callable[[str], None]
Row = tuple[object, ...]
SIZES = (16, 32, 64, 128, 256, 512, 1024)
WORKERS = (2, 4, 8)
SAMPLES = 8
EVERYBODY, QUARTER = 1.0, 0.25
"""Shares of the nodes that seeds are drawn from."""
SPARE = 1.25
WARM, COUNTED = 128, 128
KAPPAS = (1, 4, 16, 64, 256)
DRAWN = 1_000_000
INPUTS = (
    "graph", "sampler", *(f"of {size}" for size in SIZES), "not rising", "concave",
)  # fmt: skip
COOPERATION = ("graph", "sampler", "seeds a worker", *(f"P = {size}" for size in WORKERS))
DRAWS = ("kappa", "KS p", "lag-1 correlation", "cos(pi/2kappa)", "apart")
CACHE = (
    "graph", "sampler", "seeds", "working set", *(f"kappa = {kappa}" for kappa in KAPPAS), "less",
)  # fmt: skip
PRODUCT = ("graph", "sampler", "P", "cooperation", "kappa = 256", "both", "of the product")


def input_rows(data: Sequence[str], samplers: Sequence[str], say: Say) -> Iterator[Row]:
    """Input vertices per seed of batches of each size; the smaller ones are parts of the larger."""
    for name in data:
        place = ground(name, EVERYBODY)
        for sampler in samplers:
            say(f"{name} by {sampler}")
            counts = np.zeros(len(SIZES))
            for sample in range(SAMPLES):
                seeds = np.random.default_rng((SEED, sample)).permutation(place.seeds)
                for index, size in enumerate(SIZES):
                    stream = Stream(
                        ground=replace(place, seeds=seeds[:size]), sampler=sampler, batch=size
                    )
                    inputs = next(stream.inputs(range(sample, sample + 1)))
                    counts[index] += len(inputs[0]) / SAMPLES
            each = counts / SIZES
            slopes = np.diff(counts) / np.diff(SIZES)
            yield (
                name, sampler, *(f"{number:.2f}" for number in each),
                _yes((np.diff(each) <= 0).all()), _yes((np.diff(slopes) <= 0).all()),
            )  # fmt: skip


def cooperation_rows(
    data: Sequence[str], samplers: Sequence[str], batch: int, say: Say
) -> Iterator[Row]:
    """Vertices that independent workers fetch over those that cooperating ones do."""
    for name in data:
        place = ground(name, EVERYBODY)
        for sampler in samplers:
            say(f"{name} by {sampler}")
            factors = []
            for workers in WORKERS:
                apart = Stream(ground=place, sampler=sampler, batch=batch, workers=workers)
                total, together = (
                    sum(len(each) for inputs in stream.inputs(range(3)) for each in inputs)
                    for stream in (apart, apart.but(cooperative=True))
                )
                factors.append(total / together)
            yield name, sampler, batch, *(f"{factor:.2f}" for factor in factors)


def draw_rows(kappas: Sequence[int]) -> Iterator[Row]:
    """Whether draws are uniform, and how they correlate with those of the next iteration."""
    vertices = np.arange(DRAWN)
    for kappa in kappas:
        draws = Draws(seed=SEED, kappa=kappa)
        least, correlations = 1.0, []
        for phase in sorted({0, kappa // 3, kappa - 1}):
            now, then = (draws.normals(kappa + phase + lag, 0, vertices) for lag in (0, 1))
            least = min(least, kstest(ndtr(now), "uniform").pvalue)
            correlations.append(np.corrcoef(now, then)[0, 1])
        wanted = cos(pi / (2 * kappa))
        apart = max(abs(each - wanted) for each in correlations)
        yield kappa, f"{least:.3f}", f"{np.mean(correlations):.4f}", f"{wanted:.4f}", f"{apart:.4f}"


def cache_rows(data: Sequence[str], samplers: Sequence[str], batch: int, say: Say) -> Iterator[Row]:
    """Bytes fetched in an iteration through a cache of 1.25 times the working set, by kappa."""
    for name in data:
        place = ground(name, QUARTER)
        for sampler in samplers:
            stream = Stream(ground=place, sampler=sampler, batch=batch)
            moved = []
            for kappa in KAPPAS:
                say(f"{name} by {sampler}, kappa {kappa}")
                moved.append(stream.but(kappa=kappa).fetched_bytes(WARM, COUNTED, SPARE))
            yield (
                name, sampler, batch, f"{stream.working_set():,.0f}",
                *(f"{number:,.0f}" for number in moved), f"{moved[0] / moved[-1]:.2f}",
            )  # fmt: skip


def product_rows(
    data: Sequence[str], samplers: Sequence[str], batch: int, say: Say
) -> Iterator[Row]:
    """Bytes fetched without cooperation and kappa over those with one of them, and with both."""
    for name in data:
        place = ground(name, QUARTER)
        for sampler in samplers:
            for workers in (2, 4):
                say(f"{name} by {sampler} on {workers} workers")
                apart = Stream(ground=place, sampler=sampler, batch=batch, workers=workers)
                plain, together, slow, both = (
                    apart.but(cooperative=shared, kappa=kappa).fetched_bytes(64, 64, SPARE)
                    for kappa in (1, KAPPAS[-1])
                    for shared in (False, True)
                )
                product = plain / together * plain / slow
                yield (
                    name, sampler, workers, f"{plain / together:.2f}", f"{plain / slow:.2f}",
                    f"{plain / both:.2f}", f"{plain / both / product:.2f}",
                )  # fmt: skip


def _yes(holds: np.bool_) -> str:
    return "yes" if holds else "no"
