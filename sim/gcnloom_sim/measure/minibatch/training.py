# SPDX-License-Identifier: Apache-2.0
"""Sampled training beside that of the full graph: accuracy, work to reach it, bytes fetched."""

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
from gcnloom.training.trainer import FullBatch, Trainer
from gcnloom_sim.measure.minibatch.figure import Figure

__all__ = [
    "ACCURACY", "DEPENDENCE", "RECIPE", "Choice", "accuracy_rows", "dependence_rows", "half_of",
]  # fmt: skip

Say = Callable[[str], None]
Row = tuple[object, ...]
FULL_EPOCHS, EPOCHS = 120, 40
"""Steps of the full graph, and epochs of several steps each on samples."""
RECIPE = Options(
    update="host", optimiser="adam", lr=0.02, weight_decay=5e-3, dropout=0.25, epochs=EPOCHS
)
LOOK = 10
FANOUT = (10, 10)
NEAR = 0.01
"""What validation accuracy may lack of the full graph's best to count as reached."""
ACCURACY = (
    "graph", "training", "steps", "test", "by seed", "from full graph", "MACs to accuracy",
    "reached by",
)  # fmt: skip
DEPENDENCE = (
    "graph", "sampler", "seeds", "kappa = 1", "kappa = 256", "apart", "bytes an epoch",
    "kappa = 256", "less",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A way to sample.

    Attributes
    ----------
    sampler : {"neighbour", "labor", "cluster"}
    batch : int or None
        Seeds of a batch; None takes half of the training nodes.
    clusters : int
        METIS parts, of which a batch has half.
    """

    sampler: str
    batch: int | None
    clusters: int

    def of(self, graph: Graph) -> Sampling:
        """Return how a graph's batches are made."""
        if self.sampler == "cluster":
            return Sampling(
                sampler=self.sampler, batch=max(1, self.clusters // 2), clusters=self.clusters,
                evaluate_every=LOOK,
            )  # fmt: skip
        return Sampling(
            sampler=self.sampler, batch=self.batch or half_of(graph), fanout=FANOUT,
            evaluate_every=LOOK,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What a training came to.

    Attributes
    ----------
    test : float
        Accuracy in percent.
    steps : int
    fetched : float
        Bytes of features, an epoch.
    looks : list of (float, float)
        MACs done, in millions, and validation accuracy, look by look.
    """

    test: float
    steps: int
    fetched: float
    looks: list[tuple[float, float]]

    def reaches(self, accuracy: float) -> float | None:
        """MACs at the first look that is as good, or None."""
        return next((macs for macs, found in self.looks if found >= accuracy), None)


def half_of(graph: Graph) -> int:
    """Half of a graph's training nodes."""
    return max(1, len(graph.train) // 2)


def accuracy_rows(
    data: Sequence[str], choices: Sequence[Choice], seeds: int, device: str, say: Say
) -> Iterator[Row]:
    """Test accuracy of the full graph and of each way to sample it, and the work to near it."""
    for name in data:
        full = []
        for seed in range(seeds):
            say(f"{name}, full graph, seed {seed}")
            full.append(_full(datasets.load(name, seed=seed), seed, device))
        near = [max(found for _, found in each.looks) - NEAR for each in full]
        base = float(np.mean([outcome.test for outcome in full]))
        yield _accuracy(name, "full graph", full, base, near)
        for choice in choices:
            outcomes = []
            for seed in range(seeds):
                say(f"{name} by {choice.sampler}, seed {seed}")
                graph = datasets.load(name, seed=seed)
                outcomes.append(_sampled(graph, choice.of(graph), seed, device))
            yield _accuracy(name, choice.sampler, outcomes, base, near)


def dependence_rows(
    data: Sequence[str], choices: Sequence[Choice], kappas: tuple[int, int], seeds: int,
    device: str, say: Say,
) -> Iterator[Row]:  # fmt: skip
    """Accuracy and bytes with independent and with dependent batches, through a cache."""
    for name in data:
        for choice in choices:
            means = []
            for kappa in kappas:
                outcomes = []
                for seed in range(seeds):
                    say(f"{name} by {choice.sampler}, kappa {kappa}, seed {seed}")
                    graph = datasets.load(name, seed=seed)
                    sampling = replace(choice.of(graph), kappa=kappa)
                    sampling = replace(sampling, cache=_rows(graph, sampling))
                    outcomes.append(_sampled(graph, sampling, seed, device))
                means.append(
                    [float(np.mean([getattr(each, what) for each in outcomes]))
                     for what in ("test", "fetched")]
                )  # fmt: skip
            (one, bytes_one), (many, bytes_many) = means
            yield (
                name, choice.sampler, sampling.batch, Figure(one, ".2f", " %"),
                Figure(many, ".2f", " %"), Figure(many - one, "+.2f"), Figure(bytes_one, ",.0f"),
                Figure(bytes_many, ",.0f"), Figure(bytes_one / max(1.0, bytes_many)),
            )  # fmt: skip


def _full(graph: Graph, seed: int, device: str) -> _Outcome:
    with open_device(device) as opened:
        trainer = Trainer(graph, replace(RECIPE, epochs=FULL_EPOCHS, seed=seed), opened)
        trainer.run()
        return _outcome(trainer, FULL_EPOCHS)


def _sampled(graph: Graph, sampling: Sampling, seed: int, device: str) -> _Outcome:
    with open_device(device) as opened:
        trainer = MinibatchTrainer(
            graph, replace(RECIPE, seed=seed), opened, Alone(), mode="minibatch", sampling=sampling
        )
        trainer.run()
        trainer.engine.totals()
        fetched = trainer.engine.features["fetched_bytes"] / EPOCHS
        return _outcome(trainer, EPOCHS * trainer.engine.batches.per_epoch, fetched)


def _outcome(trainer: FullBatch, steps: int, fetched: float = 0.0) -> _Outcome:
    """Judge a finished training; MACs of its passes are a mean, and looks cost nothing."""
    engine, graph = trainer.engine, trainer.graph
    macs = sum(engine.necessary_macs[name] * engine.runs[name] for name in ("forward", "backward"))
    each = macs / 1e6 / len(trainer.history)
    # An epoch looks before its own steps.
    looks = [
        ((epoch.epoch - 1) * each, epoch.val) for epoch in trainer.history if epoch.val is not None
    ]
    logits = engine.logits(trainer.best)
    last = trainer.judge.accuracy(engine.logits(trainer.weights), graph.val)
    if last is not None:
        looks.append((len(trainer.history) * each, last))
    test = trainer.judge.accuracy(logits, graph.test) or 0.0
    return _Outcome(test=100 * test, steps=steps, fetched=fetched, looks=looks)


def _rows(graph: Graph, sampling: Sampling) -> int:
    """Rows of a cache of 1.25 times the working set: inputs of a batch, the mean of some."""
    sampler, batches = sampling.make(graph, rank=0, workers=1, cooperative=False, seed=0)
    counts = [
        len(sample_block(sampler, batches.parts(number, 1)[0], 2, number, Alone()).inputs)
        for number in range(8)
    ]
    return round(1.25 * float(np.mean(counts)))


def _accuracy(
    data: str, name: str, outcomes: Sequence[_Outcome], base: float, near: Sequence[float]
) -> Row:
    mean = float(np.mean([outcome.test for outcome in outcomes]))
    each = ", ".join(f"{outcome.test:.1f}" for outcome in outcomes)
    reached = [
        macs for outcome, accuracy in zip(outcomes, near, strict=True)
        if (macs := outcome.reaches(accuracy)) is not None
    ]  # fmt: skip
    work = Figure(float(np.mean(reached)), ",.1f", " M") if reached else ""
    return (
        data, name, outcomes[0].steps, Figure(mean, ".2f", " %"), each,
        Figure(mean - base, "+.2f"), work, f"{len(reached)} of {len(outcomes)}",
    )  # fmt: skip
