# SPDX-License-Identifier: Apache-2.0
"""How fast the Verilated accelerator simulates."""

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.training.engine import Engine
from gcnloom.training.options import Options
from gcnloom.training.weights import first_weights
from gcnloom_sim.memory import IDEAL, Memory

__all__ = ["cycles_per_second"]


def cycles_per_second(
    config: str, memory: str | Memory = IDEAL, repeats: int = 10
) -> tuple[int, float]:
    """Cycles and the fastest rate of `repeats` forward passes over the digits, on one core."""
    graph = datasets.load("digits")
    network = Options().network(graph.features.shape[1], graph.classes)
    with open_device(f"rtl:{config}", memory=memory) as device:
        engine = Engine(graph, network, device)
        weights = first_weights(network, 0)
        engine.logits(weights)
        best, cycles = 0.0, 0
        for _ in range(repeats):
            before, begin = engine.seconds, engine.counters["infer"]["cycles"]
            engine.forward(weights, step=0, training=False)
            cycles = engine.counters["infer"]["cycles"] - begin
            best = max(best, cycles / (engine.seconds - before))
    return cycles, best
