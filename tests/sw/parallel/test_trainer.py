# SPDX-License-Identifier: Apache-2.0
"""Several devices come to the bits of one, whatever the graph, the mode and their number."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.sparse import csr_array

from gcnloom.device import open as open_device
from gcnloom.errors import ConfigError, TrainingError
from gcnloom.lower.builder import Output, Tensor
from gcnloom.parallel.mixture import MixtureOfParallelism
from gcnloom.parallel.scheme import Link, Message
from gcnloom.parallel.threads import run_threads
from gcnloom.parallel.worker import Worker
from gcnloom.training.options import Options
from gcnloom_spec.commands import Drain
from tests.sw.graphs import AWKWARD, block_model, changed
from tests.sw.parallel.workers import bits, options, together, trained

SEED = 3
MODES = ("mop", "partition")
WORKERS = (1, 2, 4)


@cache
def _graph(name):
    if name == "one label":
        graph = block_model(60, 3, seed=SEED)
        return changed(graph, train=graph.train[:1], val=graph.val[:3])
    return block_model(36, 3, seed=SEED) if name == "sbm" else AWKWARD[name]


@cache
def _single(name, settings: Options):
    trainer = trained(_graph(name), settings)
    return bits(trainer), trainer.history


def _same(name, settings, mode, workers):
    expected, history = _single(name, settings)
    for trainer, _ in together(_graph(name), settings, mode=mode, workers=workers):
        assert bits(trainer) == expected
        assert trainer.history == history


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("mode", MODES)
def test_workers_train_to_the_bits_of_one_device(mode, workers):
    _same("sbm", options(), mode, workers)


@pytest.mark.parametrize("mode", MODES)
def test_rows_that_the_loss_does_not_see_leave_no_trace(mode):
    # One worker alone has a gradient, and others have rows that nobody listens to.
    settings = options(sampled=False, lr=0.5)
    assert _single("one label", options(lr=0.5))[0] == _single("one label", settings)[0]
    _same("one label", settings, mode, 2)


@pytest.mark.parametrize("workers", [2, 4])
def test_stochastic_rounding_draws_the_same_bits_on_every_worker(workers):
    settings = options(rounding="stochastic", layers=3)
    assert _single("sbm", settings)[0] != _single("sbm", options(layers=3))[0]
    _same("sbm", settings, "mop", workers)


def test_optimiser_and_units_in_turn_change_nothing():
    _same("isolated nodes", options(optimiser="adam", lr=0.02, serial=True), "mop", 2)


@pytest.mark.parametrize("name", ["isolated nodes", "no edges", "directed", "weighted"])
@pytest.mark.parametrize("mode", MODES)
def test_awkward_graphs_and_uneven_shares(name, mode):
    _same(name, options(hidden=5), mode, 3)


@pytest.mark.parametrize("mode", MODES)
def test_a_worker_for_each_node_has_columns_or_none(mode):
    _same("isolated nodes", options(epochs=2), mode, 8)


def test_an_empty_part_has_nothing_to_do(monkeypatch):
    monkeypatch.setattr(
        "gcnloom.parallel.trainer.node_parts", lambda adjacency, parts: _two_of(parts, adjacency)
    )
    monkeypatch.setattr(
        "gcnloom.parallel.summary.node_parts", lambda adjacency, parts: _two_of(parts, adjacency)
    )
    _same("sbm", options(), "partition", 3)


def _two_of(parts, adjacency):
    """Leave the first part empty."""
    return 1 + np.arange(adjacency.shape[0]) % (parts - 1)


def test_edges_too_light_to_count_leave_rows_of_zeros():
    heavy = np.zeros((6, 6))
    heavy[0, 1], heavy[1, 0] = 1e6, 1e6
    graph = changed(AWKWARD["no edges"], adjacency=csr_array(heavy + np.eye(6, k=2) * 1e-3))
    settings = options(epochs=2)
    expected = bits(trained(graph, settings))
    for mode in MODES:
        assert bits(together(graph, settings, mode=mode, workers=2)[0][0]) == expected


@pytest.mark.parametrize(
    ("settings", "arguments", "said"),
    [
        (options(), {"mode": "both", "workers": 2}, "parallel='both' is unknown; try mop"),
        (options(), {"mode": "mop", "workers": 37}, "workers=37 is outside 1..36"),
        (Options(epochs=1), {"mode": "mop", "workers": 2}, "update='device' keeps"),
        (
            options(rounding="stochastic"),
            {"mode": "partition", "workers": 2},
            "rounding='stochastic' draws by node",
        ),
    ],
)
def test_what_cannot_be_trained_so_is_refused(settings, arguments, said):
    with pytest.raises(ConfigError, match=said):
        together(_graph("sbm"), settings, **arguments)


def test_a_partition_of_one_rounds_stochastically():
    _same("sbm", options(rounding="stochastic"), "partition", 1)


def test_weights_that_overflow_stop_everybody_with_a_reason():
    settings = replace(options(epochs=50), lr=1e300)
    with pytest.raises(TrainingError, match="no longer finite in epoch"):
        together(_graph("sbm"), settings, mode="mop", workers=2)


@pytest.mark.sim
@pytest.mark.parametrize(
    ("config", "mode"), [("smallest", "mop"), ("smallest", "partition"), ("odd", "mop")]
)
def test_two_simulated_accelerators_train_to_the_bits_of_the_model(config, mode):
    # With three lanes, the second worker's first column is inside of a vector.
    settings, graph = options(hidden=4, epochs=1), block_model(12, 2, seed=SEED)
    expected = bits(trained(graph, settings, f"model:{config}"))
    for trainer, _ in together(graph, settings, mode=mode, workers=2, spec=f"rtl:{config}"):
        assert bits(trainer) == expected


def test_columns_keep_their_places_in_a_vector():
    first = {}

    def work(communicator):
        with open_device("model:odd", memory_megabytes=8) as device:
            link = Link(worker=Worker(device, seed=0, serial=False), communicator=communicator)
            whole = Tensor(name="whole", rows=5, features=8)
            output = Output(tensor=whole, identifier=1, dropout=128)
            messages = Message(kind="one", tensor=""), Message(kind="other", tensor="")
            aggregation = MixtureOfParallelism(2).aggregation(
                link, "ones", csr_array(np.ones((5, 5), np.int64)), output, messages
            )
            commands = aggregation.operators[0].program.commands
            emissions = [command.emission for command in commands if isinstance(command, Drain)]
            first[communicator.rank] = min(emission.feature for emission in emissions)

    run_threads(2, work)
    assert first == {0: 0, 1: 3}
