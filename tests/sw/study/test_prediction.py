# SPDX-License-Identifier: Apache-2.0
"""What is foretold of an epoch is what is counted while it trains."""

import pytest

from gcnloom.cli.running import train_case
from gcnloom.graphs import datasets
from gcnloom.study.cases import Case
from gcnloom.study.effort import reduced

COMMON = {
    "device": "model", "config": "demo", "update": "host", "optimiser": "adam", "lr": 0.05,
    "epochs": 2,
}  # fmt: skip
SAMPLED = {"batch": 4, "fanout": [3, 3], "evaluate-every": 0}


def trained(parallel, graph, workers, **options):
    made = Case(
        mode=parallel, parallel=parallel, graph=graph, workers=workers, seed=1,
        options=tuple((COMMON | options).items()),
    )  # fmt: skip
    return train_case(made)


def both(result, name):
    return [result[side]["per_worker"][name] for side in ("predicted", "measured")]


@pytest.mark.parametrize("graph", ["sbm:60,3", "rmat:6,8"])
@pytest.mark.parametrize(
    ("parallel", "options"),
    [("mop", {}), ("mop", {"layers": 3, "hidden": 5}), ("partition", {}),
     ("partition", {"sampled": False})],
)  # fmt: skip
def test_full_graphs_to_the_byte(parallel, options, graph):
    result = trained(parallel, graph, 3, **options)
    predicted, measured = both(result, "beats")
    # Rows are filled up to whole memory words.
    assert predicted == pytest.approx(measured, rel=0.03)
    kinds = result["parallel"]["bytes_per_epoch"]
    features = sum(kinds[kind]["measured"] for kind in ("activations", "logits", "gradients"))
    assert result["predicted"]["features"] == features
    for name in ("bytes", "messages"):
        predicted, measured = both(result, name)
        # Shares of all-reduces go round, and inference repeats as its shifts need.
        assert predicted == pytest.approx(measured, rel=0.08), name


@pytest.mark.parametrize("parallel", ["minibatch", "cooperative"])
def test_the_batches_that_are_drawn_to_the_byte(parallel):
    # Of four epochs the last three are drawn, and measured.
    result = trained(parallel, "sbm:60,3", 2, **SAMPLED | {"epochs": 4})
    predicted, measured = both(result, "fetched_bytes")
    assert predicted == measured
    predicted, measured = both(result, "beats")
    assert predicted == pytest.approx(measured, rel=0.08)
    predicted, measured = both(result, "bytes")
    assert sum(predicted) == pytest.approx(sum(measured), rel=1e-3)
    predicted, measured = both(result, "messages")
    assert sum(predicted) == pytest.approx(sum(measured), abs=4)


def test_parts_of_a_network():
    result = trained("gist", "sbm:60,3", 2, **{"local-iterations": 2, "hidden": 32})
    predicted, measured = both(result, "bytes")
    assert predicted == pytest.approx(measured, rel=0.02)
    assert both(result, "messages")[0] == both(result, "messages")[1]
    # How often a round's first passes repeat is not foretold.
    assert both(result, "beats")[0] == pytest.approx(both(result, "beats")[1], rel=0.35)


def test_one_device_sends_nothing_and_multiplies_by_hand():
    result = trained("single", "sbm:60,3", 1, sampled=False)
    graph = datasets.load("sbm:60,3", seed=1)
    assert both(result, "bytes") == [[0.0], [0.0]]
    # Sixteen features are two panels of 8 lanes, three classes one; four elements. X twice, the
    # adjacency with its loops twice a layer; then three products of 60 rows by an array of 8 x 8.
    adjacency = graph.adjacency.nnz + graph.nodes
    sparse = (2 * 2 * graph.features.nnz + (2 * 2 + 2) * adjacency) / 4
    assert both(result, "beats") == [[sparse + 3 * 2 * 60]] * 2


def test_an_all_reduce_of_fewer_elements_than_workers_sends_fewer_messages():
    assert reduced(1, 4) == (1.5, 1.5)
    assert reduced(100, 4) == (150.0, 6.0)
