# SPDX-License-Identifier: Apache-2.0
"""Sampled training: its accuracy beside that of the full graph, its memory as graphs grow."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph
from gcnloom.parallel.communicator import Alone
from gcnloom.sampling.block import sample_block
from gcnloom.sampling.options import Sampling
from gcnloom.sampling.trainer import MinibatchTrainer
from gcnloom.training.options import Options
from gcnloom.training.trainer import Trainer

__all__ = [
    "ACCURACY", "DEPENDENCE", "MEMORY",
    "accuracy_rows", "dependence_rows", "memory_rows", "sampling_of",
]  # fmt: skip

Say = Callable[[str], None]
Row = tuple[object, ...]
FULL_EPOCHS, EPOCHS = 120, 40
"""Steps of the full graph, and epochs of several steps each on samples."""
RECIPE = Options(
    update="host", optimiser="adam", lr=0.02, weight_decay=5e-3, dropout=0.25, epochs=EPOCHS
)
LOOK = 10
MEASURED = 16
"""Batches whose memory is looked at."""
FANOUT = (10, 10)
ACCURACY = ("graph", "training", "steps", "test", "by seed", "from full graph")
DEPENDENCE = (
    "graph", "sampler", "kappa = 1", "kappa = 256", "apart", "bytes an epoch", "kappa = 256", "less"
)  # fmt: skip
MEMORY = (
    "nodes", "edges", "sampler", "seeds", "inputs of a batch", "device memory",
    "of the smallest graph's",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What a training came to: test accuracy in percent, steps, bytes fetched an epoch."""

    test: float
    steps: int
    fetched: float


def sampling_of(sampler: str, batch: int, clusters: int) -> Sampling:
    """How a sampler's batches are made: so many seeds of a batch, or half of the clusters."""
    if sampler == "cluster":
        return Sampling(
            sampler=sampler, batch=max(1, clusters // 2), clusters=clusters, evaluate_every=LOOK
        )
    return Sampling(sampler=sampler, batch=batch, fanout=FANOUT, evaluate_every=LOOK)


def accuracy_rows(
    data: str, samplings: Sequence[Sampling], seeds: int, device: str, say: Say
) -> Iterator[Row]:
    """Test accuracy of the full graph and of each way to sample it."""
    full = []
    for seed in range(seeds):
        say(f"{data}, full graph, seed {seed}")
        full.append(_full(data, seed, device))
    base = float(np.mean([outcome.test for outcome in full]))
    yield _accuracy(data, "full graph", full, base)
    for sampling in samplings:
        outcomes = []
        for seed in range(seeds):
            say(f"{data} by {sampling.sampler}, seed {seed}")
            outcomes.append(_sampled(datasets.load(data, seed=seed), sampling, seed, device))
        yield _accuracy(data, sampling.sampler, outcomes, base)


def dependence_rows(
    data: str, samplings: Sequence[Sampling], seeds: int, device: str, say: Say
) -> Iterator[Row]:
    """Accuracy and bytes with independent and with dependent batches, through a cache."""
    for sampling in samplings:
        mean = []
        for kappa in (1, 256):
            outcomes = []
            for seed in range(seeds):
                say(f"{data} by {sampling.sampler}, kappa {kappa}, seed {seed}")
                graph = datasets.load(data, seed=seed)
                choice = replace(sampling, kappa=kappa, cache=_rows(graph, sampling))
                outcomes.append(_sampled(graph, choice, seed, device))
            test, fetched = (
                float(np.mean([getattr(each, name) for each in outcomes]))
                for name in ("test", "fetched")
            )
            mean.append((test, fetched))
        (one, bytes_one), (many, bytes_many) = mean
        yield (
            data, sampling.sampler, f"{one:.2f} %", f"{many:.2f} %", f"{many - one:+.2f}",
            f"{bytes_one:,.0f}", f"{bytes_many:,.0f}", f"{bytes_one / bytes_many:.2f}",
        )  # fmt: skip


def memory_rows(
    sizes: Sequence[int], samplers: Sequence[str], batch: int, device: str, say: Say
) -> Iterator[Row]:
    """Peak of device memory while training on graphs of more and more nodes."""
    graphs = {size: f"community:{size},20,32,8" for size in sizes}
    first: dict[str, int] = {}
    for size, data in graphs.items():
        say(data)
        graph = datasets.load(data, seed=0)
        for sampler in samplers:
            sampling = Sampling(sampler=sampler, batch=batch, fanout=(5, 5), evaluate_every=0)
            inputs, peak = _peak(graph, sampling, device)
            first.setdefault(sampler, peak)
            yield (
                f"{size:,}", f"{graph.adjacency.nnz:,}", sampler, batch, f"{inputs:.0f}",
                f"{peak / 1024:.1f} KiB", f"{100 * peak / first[sampler]:.1f} %",
            )  # fmt: skip


def _peak(graph: Graph, sampling: Sampling, device: str) -> tuple[float, int]:
    """Input vertices of a batch, the mean of some, and most bytes of device memory in use."""
    with open_device(device) as opened:
        trainer = MinibatchTrainer(
            graph, RECIPE, opened, Alone(), mode="minibatch", sampling=sampling
        )
        inputs = []
        for iteration in range(MEASURED):
            trainer.iterate(iteration)
            inputs.append(len(trainer.engine.block.inputs))
        return float(np.mean(inputs)), trainer.engine.peak_words * opened.config.memory_bytes


def _full(data: str, seed: int, device: str) -> _Outcome:
    graph = datasets.load(data, seed=seed)
    with open_device(device) as opened:
        trainer = Trainer(graph, replace(RECIPE, epochs=FULL_EPOCHS, seed=seed), opened)
        trainer.run()
        logits = trainer.engine.logits(trainer.best)
    test = trainer.judge.accuracy(logits, graph.test) or 0.0
    return _Outcome(test=100 * test, steps=FULL_EPOCHS, fetched=0.0)


def _sampled(graph: Graph, sampling: Sampling, seed: int, device: str) -> _Outcome:
    with open_device(device) as opened:
        trainer = MinibatchTrainer(
            graph, replace(RECIPE, seed=seed), opened, Alone(), mode="minibatch", sampling=sampling
        )
        trainer.run()
        logits = trainer.engine.logits(trainer.best)
        engine = trainer.engine
    test = trainer.judge.accuracy(logits, graph.test) or 0.0
    steps = EPOCHS * engine.batches.per_epoch
    return _Outcome(test=100 * test, steps=steps, fetched=engine.cache.fetched_bytes / EPOCHS)


def _rows(graph: Graph, sampling: Sampling) -> int:
    """Rows of a cache of 1.25 times the working set: inputs of a batch, the mean of some."""
    sampler, batches = sampling.make(graph, rank=0, workers=1, cooperative=False, seed=0)
    counts = [
        len(sample_block(sampler, batches.parts(number, 1)[0], 2, number, Alone()).inputs)
        for number in range(8)
    ]
    return round(1.25 * float(np.mean(counts)))


def _accuracy(data: str, name: str, outcomes: Sequence[_Outcome], base: float) -> Row:
    mean = float(np.mean([outcome.test for outcome in outcomes]))
    each = ", ".join(f"{outcome.test:.1f}" for outcome in outcomes)
    return data, name, outcomes[0].steps, f"{mean:.2f} %", each, f"{mean - base:+.2f}"
