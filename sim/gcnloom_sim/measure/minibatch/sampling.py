# SPDX-License-Identifier: Apache-2.0
"""Vertices and bytes of sampled batches: by batch size, by cooperation, by dependence."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import cos, pi

import numpy as np
from scipy.special import ndtr
from scipy.stats import kstest

from gcnloom.sampling.draws import Draws
from gcnloom_sim.measure.minibatch.figure import Figure
from gcnloom_sim.measure.minibatch.stream import SEED, Stream, ground

__all__ = [
    "CACHE", "COOPERATION", "DRAWS", "INPUTS", "KAPPAS", "PRODUCT", "WORKERS",
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
    "graph", "sampler", "layers", *(f"of {size}" for size in SIZES), "not rising", "concave",
)  # fmt: skip
COOPERATION = (
    "graph", "more neighbours than fan-out", "sampler", "layers", "seeds a worker",
    *(f"P = {size}" for size in WORKERS),
)  # fmt: skip
DRAWS = ("kappa", "KS p", "lag-1 correlation", "cos(pi/2kappa)", "apart")
CACHE = (
    "graph", "more neighbours than fan-out", "sampler", "layers", "seeds", "working set",
    *(f"kappa = {kappa}" for kappa in KAPPAS), "less",
)  # fmt: skip
PRODUCT = (
    "graph", "sampler", "layers", "P", "cooperation", f"kappa = {KAPPAS[-1]}", "both",
    "of the product",
)  # fmt: skip


def _streams(
    data: Sequence[str], samplers: Sequence[str], batch: int, layers: int, share: float, say: Say
) -> Iterator[tuple[Stream, Figure]]:
    """Batches of every graph by every sampler, with the share of vertices that can choose."""
    for name in data:
        place = ground(name, share)
        for sampler in samplers:
            say(f"{name} by {sampler}")
            stream = Stream(ground=place, sampler=sampler, batch=batch, layers=layers)
            yield stream, Figure(100 * place.choosing(stream.fanout), ".0f", " %")


def input_rows(
    data: Sequence[str], samplers: Sequence[str], layers: int, say: Say
) -> Iterator[Row]:
    """Input vertices per seed of batches of each size; the smaller ones are parts of the larger."""
    for stream, _ in _streams(data, samplers, SIZES[-1], layers, EVERYBODY, say):
        place, counts = stream.ground, np.zeros(len(SIZES))
        for sample in range(SAMPLES):
            seeds = np.random.default_rng((SEED, sample)).permutation(place.seeds)
            for index, size in enumerate(SIZES):
                part = stream.but(ground=replace(place, seeds=seeds[:size]), batch=size)
                inputs = next(part.inputs(range(sample, sample + 1)))
                counts[index] += len(inputs[0]) / SAMPLES
        each = counts / SIZES
        slopes = np.diff(counts) / np.diff(SIZES)
        yield (
            place.name, stream.sampler, layers, *map(Figure, each),
            _yes((np.diff(each) <= 0).all()), _yes((np.diff(slopes) <= 0).all()),
        )  # fmt: skip


def cooperation_rows(
    data: Sequence[str], samplers: Sequence[str], batch: int, layers: int, say: Say
) -> Iterator[Row]:
    """Vertices that independent workers fetch over those that cooperating ones do."""
    for stream, choosing in _streams(data, samplers, batch, layers, EVERYBODY, say):
        factors = []
        for workers in WORKERS:
            total, together = (
                sum(len(each) for inputs in part.inputs(range(3)) for each in inputs)
                for part in (
                    stream.but(workers=workers, cooperative=shared) for shared in (False, True)
                )
            )
            factors.append(Figure(total / together))
        yield stream.ground.name, choosing, stream.sampler, layers, batch, *factors


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
        figures = least, float(np.mean(correlations)), wanted, apart
        yield kappa, *(Figure(each, ".4f") for each in figures)


def cache_rows(
    data: Sequence[str], samplers: Sequence[str], batch: int, layers: int,
    kappas: Sequence[int], say: Say,
) -> Iterator[Row]:  # fmt: skip
    """Bytes fetched in an iteration through a cache of 1.25 times the working set, by kappa."""
    for stream, choosing in _streams(data, samplers, batch, layers, QUARTER, say):
        moved = []
        for kappa in kappas:
            say(f"kappa {kappa}")
            moved.append(stream.but(kappa=kappa).fetched_bytes(WARM, COUNTED, SPARE))
        yield (
            stream.ground.name, choosing, stream.sampler, layers, batch,
            *(Figure(number, ",.0f") for number in (stream.working_set(), *moved)),
            Figure(moved[0] / max(1.0, moved[-1])),
        )  # fmt: skip


def product_rows(
    data: Sequence[str], samplers: Sequence[str], batch: int, layers: int, say: Say
) -> Iterator[Row]:
    """Bytes fetched without cooperation and kappa over those with one of them, and with both."""
    for stream, _ in _streams(data, samplers, batch, layers, QUARTER, say):
        for workers in WORKERS[:2]:
            say(f"{workers} workers")
            plain, together, slow, both = (
                stream.but(workers=workers, cooperative=shared, kappa=kappa).fetched_bytes(
                    64, 64, SPARE
                )
                for kappa in (1, KAPPAS[-1])
                for shared in (False, True)
            )
            figures = plain / together, plain / slow, plain / both, together * slow / plain / both
            yield stream.ground.name, stream.sampler, layers, workers, *map(Figure, figures)


def _yes(holds: np.bool_) -> str:
    return "yes" if holds else "no"
