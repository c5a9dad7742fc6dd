# SPDX-License-Identifier: Apache-2.0
"""A network wider than a device's memory, trained as parts that fit (G5)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from gcnloom.device import Device
from gcnloom.errors import MemoryFullError
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.gist import GistTrainer
from gcnloom.parallel.local import LocalTraining
from gcnloom.parallel.rounds import Rounds
from gcnloom.parallel.threads import run_threads
from gcnloom.study.finding import Finding
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.options import Options
from gcnloom.training.weights import first_weights
from gcnloom.transport import configuration
from gcnloom_sim.model import Model

__all__ = ["WIDE", "Wide", "train_wide", "wide_finding", "wide_rows"]

WIDE = ("", "hidden", "weights", "their bytes", "all it needs", "memories", "streams", "test")
ENOUGH = 1 << 30
WIDER = 8
WEIGHTS = ("weight", "masters")
"""How regions of device memory are named that hold operands, transposes, gradients, masters."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a network takes in device memory.

    Attributes
    ----------
    hidden : int
    weights : int
        Their number.
    weight_bytes, need : int
        Of everything that is there for each weight; of all that a training has there.
    streamed : int or None
        Bytes over the link in an epoch on a device with as much memory as a part needs; None if
        that cannot hold even a single step.
    """

    hidden: int
    weights: int
    weight_bytes: int
    need: int
    streamed: int | None


@dataclass(frozen=True, kw_only=True)
class Wide:
    """A training by parts, on devices with as much memory as a part needs.

    Attributes
    ----------
    workers : int
    memory : int
        Bytes of each device's.
    whole, part : Held
    test : float
        Accuracy of the whole network in the end.
    """

    workers: int
    memory: int
    whole: Held
    part: Held
    test: float


def train_wide(
    data: str, config: str, workers: int, iterations: int, settings: Options,
    progress: Callable[[str], None],
) -> Wide:  # fmt: skip
    """Train by parts on devices that just hold one, and an epoch of the whole on one of those."""
    graph, sizes = datasets.load(data, seed=settings.seed), configuration(config)
    plan = Rounds.of(settings, workers, iterations)
    part = replace(settings, hidden=plan.width(0), epochs=iterations)
    progress(f"{data}: a part, hidden {part.hidden}")
    with Device(Model(sizes, ENOUGH // sizes.memory_bytes)) as device:
        local = LocalTraining(graph, part, device)
        network = local.trainer.engine.network
        local.train(first_weights(network, 0), seed=0, epochs=iterations)
        words = device.memory.used
        held = _held(device, part.hidden, network.weight_shapes, 0)
    progress(f"{data}: {workers} parts, hidden {settings.hidden} in all")
    streamed, test = _by_parts(graph, config, words, workers, iterations, settings)
    progress(f"{data}: the whole network on a device of {words * sizes.memory_bytes:,} bytes")
    return Wide(
        workers=workers, memory=words * sizes.memory_bytes, test=test,
        whole=_whole(graph, config, words, settings), part=replace(held, streamed=streamed),
    )  # fmt: skip


def wide_rows(found: Wide) -> Iterator[tuple[object, ...]]:
    """Yield rows of :data:`WIDE`: a part, and the whole network on a device of the same memory."""
    for name, each in (("a part", found.part), ("the whole", found.whole)):
        moved = "too little for a step" if each.streamed is None else f"{each.streamed:,} bytes"
        yield (
            name, each.hidden, f"{each.weights:,}", f"{each.weight_bytes:,}", f"{each.need:,}",
            f"{each.need / found.memory:.1f}", moved if each.streamed != 0 else "nothing",
            f"{100 * found.test:.1f} %" if each is found.whole else "",
        )  # fmt: skip


def wide_finding(found: Wide, command: str) -> Finding:
    """Say what the training says of G5: a part is what the memory holds."""
    whole, part = found.whole, found.part
    times = whole.weights / part.weights
    wide = times >= WIDER and found.workers == WIDER and part.streamed == 0 != whole.streamed
    return Finding(
        statement="G5",
        verdict="shown" if wide else "not shown",
        asked=f"train a model {WIDER} times wider in weights than a device's memory holds, m = "
        f"{WIDER}",
        measured=f"{times:.0f} times the weights, hidden {whole.hidden} and {part.hidden}, m = "
        f"{found.workers}; memories of {found.memory:,} bytes, which hold just a part; all the "
        f"whole needs is {whole.need / found.memory:.1f} of them, its weights alone "
        f"{whole.weight_bytes / found.memory:.1f}; parts stream {part.streamed} bytes; test "
        f"accuracy {100 * found.test:.1f} %",
        command=command,
        why="" if wide else f"the network is less wide, or m is not {WIDER}",
    )  # fmt: skip


def _by_parts(
    graph: Graph, config: str, words: int, workers: int, iterations: int, settings: Options
) -> tuple[int, float]:
    """Train; return what all links carried beyond a device's own memory, and the accuracy."""
    sizes = configuration(config)

    def work(communicator: Communicator) -> tuple[int, float]:
        with Device(Model(sizes, words)) as device:
            trainer = GistTrainer(
                graph, settings, device, communicator, local_iterations=iterations
            )
            trainer.run()
            streamed = device.window.moved.bytes * device.window.streaming
            logits = trainer.logits() if trainer.leads else None
            test = None if logits is None else trainer.judge.accuracy(logits, graph.test)
            return streamed, test or 0.0

    told = run_threads(workers, work)
    return sum(streamed for streamed, _ in told), told[0][1]


def _whole(graph: Graph, config: str, words: int, settings: Options) -> Held:
    """Train the whole network for an epoch; its first passes are repeated in the one before."""
    sizes = configuration(config)
    with Device(Model(sizes, words)) as device:
        bare, seen = replace(settings, epochs=2), [0]
        trainer, refused = None, False
        try:
            trainer = trainer_for(graph, bare, device)
            trainer.run(lambda _: seen.append(device.window.moved.bytes))
        except MemoryFullError:
            refused = True
        network = settings.network(graph.features.shape[1], graph.classes)
        streamed = None if refused else (seen[-1] - seen[-2]) * device.window.streaming
        return _held(device, settings.hidden, network.weight_shapes, streamed)


def _held(
    device: Device, hidden: int, shapes: Sequence[tuple[int, int]], streamed: int | None
) -> Held:  # fmt: skip
    size = device.config.memory_bytes
    return Held(
        hidden=hidden, weights=sum(inner * outer for inner, outer in shapes),
        weight_bytes=size * sum(
            len(words) for name, words in device.memory.regions.items() if name.startswith(WEIGHTS)
        ),
        need=device.memory.used * size, streamed=streamed,
    )  # fmt: skip
