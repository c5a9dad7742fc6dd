# SPDX-License-Identifier: Apache-2.0
"""A product that both engines share, on the gateware."""

import numpy as np
import pytest

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.training.engine import Engine
from gcnloom.training.weights import first_weights
from gcnloom_sim.cycles import predict
from tests.sw.host import host_options

pytestmark = pytest.mark.sim


def run(device, graph, *, mixture):
    """Logits, edges and cycles of the last run, and cycles predicted for it."""
    network = host_options(hidden=4).network(graph.features.shape[1], graph.classes)
    with open_device(device, memory_megabytes=16) as opened:
        engine = Engine(graph, network, opened, mixture=mixture)
        logits = engine.logits(first_weights(network, 0))
        counters, runs = engine.counters["infer"], engine.runs["infer"]
        predicted = predict(engine.lowered.infer, opened.config).cycles
    return logits, counters["edges"], counters["cycles"] / runs, predicted


def test_gateware_shares_a_product_to_the_same_bits_and_as_predicted():
    graph = datasets.load("community:100,10,20,3", seed=0)
    expected, alone, _, _ = run("model:smallest", graph, mixture=False)
    logits, edges, cycles, predicted = run("rtl:smallest", graph, mixture=True)
    assert np.array_equal(logits, expected)
    assert edges > alone
    assert predicted == pytest.approx(cycles, rel=0.03)
