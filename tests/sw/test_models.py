# SPDX-License-Identifier: Apache-2.0
"""Models, depths and residuals train to the same bits everywhere; what cannot be is refused."""

from functools import cache

import numpy as np
import pytest
from scipy.sparse import csr_array

from gcnloom.device import open as open_device
from gcnloom.errors import CheckpointError, ConfigError, DataError
from gcnloom.estimator import GCN
from gcnloom.graphs import datasets
from gcnloom.graphs.aggregation import mean_norm
from gcnloom.layers import Network
from gcnloom.parallel.trainer import check_mode
from gcnloom.training.checkpoint import load_checkpoint, save_checkpoint
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.options import Options
from gcnloom.training.trainer import first_weights, weights_sha256
from tests.sw.graphs import AWKWARD, block_model, changed

KINDS = {
    "deep": {"layers": 4},
    "residual": {"layers": 4, "residual": True},
    "sage": {"model": "sage"},
    "deep sage": {"model": "sage", "layers": 3, "residual": True},
    "gin": {"model": "gin", "epsilon": 0.5},
}
HOST = {"update": "host", "optimiser": "adam", "lr": 0.02}


@cache
def directed():
    """A graph of which the loss sees little more than half; most edges lead one way."""
    graph = block_model(nodes=60, classes=3, seed=5)
    kept = graph.adjacency.toarray() * (np.random.default_rng(2).random((60, 60)) < 0.4)
    return changed(graph, adjacency=csr_array(kept), train=graph.train[:4], name="directed")


def trainer_of(graph, config="odd", **options):
    settings = Options(**{"epochs": 2, "hidden": 11, "dropout": 0.4, "seed": 5} | options)
    with open_device(f"model:{config}", memory_megabytes=4) as device:
        trainer = trainer_for(graph, settings, device)
        trainer.run()
    return trainer


@pytest.mark.parametrize("update", ["host", "device"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_configuration_leaves_the_same_weights(kind, update):
    options = KINDS[kind] | {"rounding": "stochastic"} | (HOST if update == "host" else {})
    graph = directed()
    found = {
        weights_sha256(trainer_of(graph, config, **options).weights)
        for config in ("smallest", "odd", "banked", "demo")
    }
    found |= {weights_sha256(trainer_of(graph, sampled=False, **options).weights)}
    assert len(found) == 1
