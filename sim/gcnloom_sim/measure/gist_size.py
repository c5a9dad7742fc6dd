# SPDX-License-Identifier: Apache-2.0
"""A network trained by parts of which no device could hold the whole (G5)."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import gcn_norm
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.gist import GistTrainer
from gcnloom.parallel.launch import open_in_turn
from gcnloom.parallel.threads import run_threads
from gcnloom.training.options import Options
from gcnloom.training.weights import first_weights
from gcnloom_sim import golden

__all__ = ["SIZE", "size_rows"]

SIZE = ("what", "value")
MIB = 1 << 20
Row = tuple[str, str]


def size_rows(
    data: str, device: str, workers: int, iterations: int, settings: Options,
    progress: Callable[[str], None],
) -> Iterator[Row]:  # fmt: skip
    """Yield rows about a training whose workers have a device memory of 1 MiB each.

    Weights count as operands alone, a byte each at 8 bits, without masters, momenta, gradients
    or transposes. Accuracies are of the whole network in floating point, as it fits no device.
    """
    graph = datasets.load(data, seed=settings.seed)

    def work(communicator: Communicator) -> tuple[GistTrainer, int, bool]:
        with open_in_turn(communicator, lambda: open_device(device, memory_megabytes=1)) as opened:
            trainer = GistTrainer(
                graph, settings, opened, communicator, local_iterations=iterations
            )
            trainer.run(lambda epoch: progress(f"local epoch {epoch.epoch}: {epoch.loss:.4f}"))
            return trainer, opened.memory.used * opened.config.memory_bytes, opened.window.streaming

    results = run_threads(workers, work)
    trainer = results[0][0]
    adjacency = gcn_norm(graph.adjacency)
    before, after = (
        golden.accuracy(
            golden.forward(adjacency, graph.features, weights).logits, graph.labels, graph.test
        )
        for weights in (first_weights(trainer.network, settings.seed), trainer.weights)
    )
    widths = trainer.network.widths
    whole = sum(inner * outer for inner, outer in pairwise(widths))
    part = [widths[0], *[trainer.rounds.width(0)] * (len(widths) - 2), widths[-1]]
    own = sum(inner * outer for inner, outer in pairwise(part))
    yield "network", "-".join(str(width) for width in widths)
    yield "weights", f"{whole:,}: {whole / MIB:.2f} MiB as operands of 8 bits"
    yield "a worker's network", "-".join(str(width) for width in part)
    yield "its weights", f"{own:,}: 1/{whole / own:.1f}"
    yield "device memory", "1.00 MiB"
    yield "weights over device memory", f"{whole / MIB:.2f}"
    yield "most that a worker used of it", f"{max(used for _, used, _ in results) / MIB:.2f} MiB"
    yield "workers that streamed", str(sum(streaming for *_, streaming in results))
    yield "rounds of local iterations", f"{trainer.rounds.count} of {iterations}"
    yield "mean local loss", f"{trainer.history[0].loss:.4f} to {trainer.history[-1].loss:.4f}"
    yield "test accuracy", f"{100 * before:.1f} % to {100 * after:.1f} %"
    changed = np.mean(trainer.weights[1] != first_weights(trainer.network, settings.seed)[1])
    yield "hidden weights trained", f"{100 * changed:.1f} %"
