# SPDX-License-Identifier: Apache-2.0
"""Who does which part of a program: shares add up to what a device counts."""

import numpy as np
import pytest

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.programs.program import Program
from gcnloom.programs.shares import shares_of
from gcnloom.training.engine import Engine
from gcnloom.training.options import Options
from gcnloom_spec.commands import Aggregate, Drain, Emission, Store, Transform
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Destination, Mode, Source
from gcnloom_spec.items import edge_word, order_word
from tests.sw.cli import run

COUNTED = {
    "edges": lambda shares: sum(shares.edges),
    "edge_slots": lambda shares: shares.edge_slots,
    "drain_entries": lambda shares: sum(shares.entries),
    "transform_rows": lambda shares: shares.rows,
}


@pytest.mark.parametrize("config", ["smallest", "odd", "demo", "banked"])
@pytest.mark.parametrize("options", [{}, {"model": "sage"}, {"sampled": False}])
def test_shares_add_up_to_the_counters_of_a_device(config, options):
    graph = datasets.load("sbm:120,3")
    network = Options(dropout=0.0, hidden=5, **{k: v for k, v in options.items() if k == "model"})
    network = network.network(graph.features.shape[1], graph.classes)
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=shape) for shape in network.weight_shapes]
    with open_device(f"model:{config}", memory_megabytes=4) as device:
        engine = Engine(graph, network, device, sampled=options.get("sampled", True))
        logits = engine.forward(weights, step=0, training=True)
        engine.backward(np.nan_to_num(logits), step=0)
        for name in ("forward", "backward"):
            program = getattr(engine.lowered, name)
            shares = shares_of(program, device.config)
            for counter, total in COUNTED.items():
                assert total(shares) == engine.counters[name][counter], counter
            stored = dict.fromkeys(Source, 0)
            for command in program.commands:
                if isinstance(command, Store):
                    stored[command.source] += command.count
            for source, vectors in stored.items():
                assert shares.fabric.get(f"{source.name.lower()} to store", 0) == vectors
            assert shares.imbalance < 1.05


def test_every_element_gets_its_own():
    config = AcceleratorConfig.from_toml("odd")
    valid = np.array([[1, 0, 1, 0, 0], [1, 0, 0, 1, 0]])[:, : config.pes]
    edges = edge_word(config).pack(column=0, slot=0, weight=1, first=0, valid=valid)[..., 0]
    order = order_word(config).pack(pe=np.array([3, 3, 0]), slot=0, last=np.array([0, 1, 1]))[:, 0]
    left = Emission(vectors=2, destination=Destination.LEFT, store=1)
    commands = [
        Aggregate(edge_base=0, count=2, operand_base=0),
        Drain(order_base=0, count=3, emission=left),
        Transform(mode=Mode.WEIGHT_STATIONARY, count=7, last=0),
        Transform(mode=Mode.PASS, count=4, first=0, emission=Emission(vectors=4, store=1)),
    ]
    shares = shares_of(Program.of(commands, config.digest, {0: edges, 1: order}), config)
    assert shares.edges == (2, 0, 1, 1, 0)
    assert shares.entries == (1, 0, 0, 2, 0)
    assert (shares.edge_slots, shares.rows) == (10, 7)
    assert shares.fabric == {"aggregate to left": 2, "aggregate to store": 2,
                             "transform to store": 4}  # fmt: skip
    assert shares.vectors == {"aggregate": 2, "transform": 4}
    assert shares.imbalance == 2 * 5 / 4


def test_a_listing_says_who_does_what(capsys):
    document = run(capsys, "listing", "--data", "sbm:40,2", "--config", "odd", "--json", "-").json()
    shares = document["shares"]
    assert len(shares["edges"]) == AcceleratorConfig.from_toml("odd").pes
    assert sum(shares["edges"]) <= shares["edge_slots"] < sum(shares["edges"]) * 1.2
