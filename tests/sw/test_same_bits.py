# SPDX-License-Identifier: Apache-2.0
"""One graph and seed give the same weights on every configuration, and in every order of nodes."""

from dataclasses import replace

import numpy as np
import pytest

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.training.trainer import Trainer
from gcnloom.training.weights import weights_sha256
from tests.sw.host import host_options

CONFIGS = ["smallest", "odd", "tall", "banked", "demo", "mul144-wide", "mul16"]
"""Of eight bits; some keep everything on chip, some cut the graph into many tiles."""


def weights(graph, config, **options):
    with open_device(f"model:{config}", memory_megabytes=16) as device:
        trainer = Trainer(graph, host_options(epochs=3, hidden=12, seed=5, **options), device)
        trainer.run()
    return weights_sha256(trainer.weights)


@pytest.mark.parametrize("data", ["sbm:300,3", "directed"])
def test_configurations_leave_the_same_weights(data):
    graph = datasets.load("sbm:300,3", seed=0)
    if data == "directed":
        kept = graph.adjacency.tocoo()
        later = kept.coords[0] < kept.coords[1] + 20
        kept.data[~later] = 0
        adjacency = kept.tocsr()
        adjacency.eliminate_zeros()
        graph = replace(graph, name=data, adjacency=adjacency)
    options = {"dropout": 0.4, "rounding": "stochastic"}
    assert len({weights(graph, config, **options) for config in CONFIGS}) == 1


def test_the_order_of_the_nodes_changes_no_weight_unless_random_bits_follow_it():
    graph = datasets.load("sbm:300,3", seed=0)
    order = np.random.default_rng(8).permutation(graph.nodes)
    place = np.argsort(order)
    permuted = replace(
        graph, adjacency=graph.adjacency[order][:, order], features=graph.features[order],
        labels=graph.labels[order], train=place[graph.train], val=place[graph.val],
        test=place[graph.test],
    )  # fmt: skip
    for config in ("smallest", "demo"):
        still = {weights(each, config, dropout=0.0) for each in (graph, permuted)}
        assert len(still) == 1
    drawn = {weights(each, "demo", dropout=0.4) for each in (graph, permuted)}
    assert len(drawn) == 2
