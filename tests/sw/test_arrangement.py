# SPDX-License-Identifier: Apache-2.0
"""What an epoch moves most comes first in device memory, and no result depends on it."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.layers import Network
from gcnloom.lower import network as lowering
from gcnloom.lower.arrangement import Arrangement
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.engine import Engine
from gcnloom.training.options import Options
from gcnloom_sim.model import Model
from tests.sw.graphs import changed
from tests.sw.lowering import random_config, random_graph
from tests.system.training import start_weights


def regions_of(device):
    """Regions with words, by address."""
    regions = [(words, name) for name, words in device.memory.regions.items() if words]
    return sorted(regions, key=lambda region: region[0].start)


@pytest.mark.parametrize("seed", range(8))
def test_regions_lie_in_the_order_in_which_the_model_touches_their_words(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    config, graph = random_config(rng), random_graph(rng, 40)
    touched, counting, look = Counter(), False, Model._bytes

    def counted(model, address, words):
        if counting:
            touched.update(range(address, address + words))
        return look(model, address, words)

    monkeypatch.setattr(Model, "_bytes", counted)
    network = Network(widths=(graph.features.shape[1], 5, graph.classes), dropout=0.5)
    with open_device("model", config, memory_megabytes=16) as device:
        engine = Engine(graph, network, device)
        regions = regions_of(device)
        for name in ("forward", "backward"):
            device.load(getattr(engine.lowered, name))
            counting = True
            device.run(getattr(engine.lowered, name))
            counting = False
    # The program is read, too, from behind them.
    heat = [sum(touched[word] for word in words) / len(words) for words, _ in regions]
    assert heat == sorted(heat, reverse=True)
    assert heat[0] > heat[-1] == 0
    assert regions[0][0].start == 0
    assert all(left.stop == right.start for (left, _), (right, _) in pairwise(regions))


def test_what_the_device_updates_comes_first_and_what_training_does_not_see_last():
    graph = random_graph(np.random.default_rng(3), 200, sparse=True)
    graph = changed(graph, train=[0], val=[1], test=[2])
    with open_device("model", memory_megabytes=16) as device:
        options = Options(hidden=5, epochs=2, update="device", optimiser="sgd", sampled=True)
        trainer_for(graph, options, device)
        names = [name for _, name in regions_of(device)]
    edges = [index for index, name in enumerate(names) if ".beats" in name]
    assert max(map(names.index, ("masters1", "masters2", "weights1", "hidden1"))) < edges[0]
    assert min(map(names.index, ("logits", "infer_hidden1", "weight_gradient1"))) > edges[0]
    assert min(map(names.index, ("logits", "infer_hidden1"))) > names.index("training_logits")


class Still(Arrangement):
    """Finds every region as hot as the others."""

    def _heat(self, epoch, config):
        return np.zeros(len(self._before))


@pytest.mark.parametrize("update", ["host", "device"])
def test_places_change_no_bit(update, monkeypatch):
    graph, bits = datasets.load("sbm:60,3", seed=0), []
    for arrangement in (Arrangement, Still):
        monkeypatch.setattr(lowering, "Arrangement", arrangement)
        with open_device("model:odd", memory_megabytes=16) as device:
            extra = {"optimiser": "sgd"} if update == "device" else {}
            options = Options(hidden=4, epochs=3, update=update, **extra)
            trainer = trainer_for(graph, options, device)
            trainer.run()
            places = [name for _, name in regions_of(device)]
            bits.append(([array.tobytes() for array in trainer.weights], places))
    assert bits[0][0] == bits[1][0]
    assert bits[0][1] != bits[1][1]


def test_inference_has_a_hidden_layer_of_its_own_where_training_sees_little_of_it():
    rng = np.random.default_rng(3)
    graph = random_graph(rng, 200, sparse=True)
    for train, apart in (([0], True), (np.arange(200), False)):
        seen = changed(graph, train=train)
        network = Network(widths=(graph.features.shape[1], 5, graph.classes))
        with open_device("model", memory_megabytes=16) as device:
            engine = Engine(seen, network, device)
            few = engine.graph.seen[1] * 2 < 200
            assert ("infer_hidden1" in device.memory.regions) == few == apart
            weights = start_weights(network.widths, seed=1)
            engine.logits(weights)
