# SPDX-License-Identifier: Apache-2.0
"""``gcnloom explore``: legal, within the budget, in the right order, and what the RTL confirms."""

import itertools
from importlib.metadata import EntryPoint

import pytest

from gcnloom import device as devices
from gcnloom.cli import plugins
from gcnloom.graphs import datasets
from gcnloom.layers import Network
from gcnloom.lower.graph import lower_graph
from gcnloom.tensors.memory import Allocator
from gcnloom_sim.explore.estimate import estimate
from gcnloom_sim.explore.space import Budget, candidates, shapes
from gcnloom_sim.explore.streaming import streaming
from gcnloom_sim.explore.work import stages
from gcnloom_sim.workloads.measurement import measure
from gcnloom_sim.workloads.rows import Row
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.ecp5 import PARTS, resources
from gcnloom_spec.memories import buffer_bytes
from tests.sw.cli import run

DATA = "sbm:120,3"
NETWORK = Network(widths=(48, 16, 3))


@pytest.fixture(autouse=True)
def installed(tmp_path, monkeypatch):
    entry = EntryPoint("explore", "gcnloom_sim.explore.command:add_command", plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry])
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("multipliers", "port"), [(2, 4), (9, 8), (24, 8), (144, 32)])
def test_every_shape_is_legal_and_none_within_its_bounds_is_left_out(multipliers, port):
    found = set(shapes(multipliers, port))
    assert found
    depths = {"memory_bytes": port, "operand_depth": 4096, "accumulator_depth": 4096}
    for pes, lanes, rows, columns in found:
        AcceleratorConfig(pes=pes, lanes=lanes, rows=rows, columns=columns, **depths)
        spent = pes * lanes + rows * columns
        assert multipliers - lanes < spent <= multipliers
    if multipliers > 24:
        return
    for lanes, rows, columns in itertools.product((1, 2, 4, 8), range(1, 25), range(1, 25)):
        pes = (multipliers - rows * columns) // lanes
        wanted = lanes <= port and pes >= 1 and rows <= 4 * columns and columns <= 4 * rows
        if not wanted or (pes, lanes, rows, columns) in found:
            continue
        with pytest.raises(ValueError, match=r"rows=|columns=|banks"):
            AcceleratorConfig(pes=pes, lanes=lanes, rows=rows, columns=columns, **depths)


@pytest.mark.parametrize("port", [4, 16, 128])
def test_the_smallest_memories_of_every_shape_are_legal(port):
    work = stages(datasets.load(DATA), NETWORK, "epoch")
    assert candidates(work, Budget(multipliers=20, buffer_bytes=60_000, port_bytes=port), 3)


def test_memories_for_streaming_let_the_adjacency_stream_and_keep_to_the_budget():
    graph = datasets.load("sbm:1500,3")
    network = Network(widths=(graph.features.shape[1], 16, graph.classes))
    work = stages(graph, network, "epoch")
    budget = Budget(multipliers=24, buffer_bytes=400_000, port_bytes=16)
    found = [
        each.config
        for candidate in candidates(work, budget, 3)
        for each in streaming(work, candidate, budget)
    ]
    assert {bool(config.operand_banks) for config in found} == {False, True}
    streams = []
    for config in found:
        assert budget.holds(config)
        memory = Allocator(1 << 20, config.memory_bytes)
        lowered = lower_graph(graph, network, config, memory, sampled=False).lowered
        streams += [matrix.streamed for matrix in lowered.matrices if "adjacency" in matrix.name]
    assert any(streams)


def test_candidates_keep_to_every_limit_of_the_budget():
    work = stages(datasets.load(DATA), NETWORK, "epoch")
    small = Budget(multipliers=24, buffer_bytes=6_000, port_bytes=8)
    part = Budget(multipliers=28, part="lfe5u-25f", port_bytes=16)
    for budget in (small, part):
        found = candidates(work, budget)
        assert found == sorted(found, key=lambda each: each.estimate)
        for each in found:
            assert each.config.multipliers <= budget.multipliers
            assert each.config.memory_bytes <= budget.port_bytes
    assert all(buffer_bytes(each.config) <= 6_000 for each in candidates(work, small))
    there = PARTS["lfe5u-25f"]
    for each in candidates(work, part):
        taken = resources(each.config)
        assert all(taken[name] <= there[name] for name in taken)
    assert candidates(work, Budget(multipliers=24, buffer_bytes=100)) == []


def test_the_best_are_found_without_looking_at_the_rest():
    work = stages(datasets.load(DATA), NETWORK, "epoch")
    budget = Budget(multipliers=24, buffer_bytes=20_000, port_bytes=8)
    best = [each.estimate for each in candidates(work, budget)[:3]]
    assert [each.estimate for each in candidates(work, budget, 3)] == best


def test_larger_buffers_and_more_multipliers_are_never_slower():
    work = stages(datasets.load(DATA), NETWORK, "inference")

    def best(**limits):
        return candidates(work, Budget(port_bytes=8, **limits))[0].estimate

    buffers = [best(multipliers=16, buffer_bytes=size) for size in (6_000, 12_000, 100_000)]
    multipliers = [best(multipliers=count) for count in (4, 16, 64)]
    rates = [best(multipliers=16, buffer_bytes=6_000, rate=rate) for rate in (1, 2, 8)]
    assert rates == sorted(rates, reverse=True) and len({*rates}) == 3
    assert best(multipliers=16, buffer_bytes=6_000) <= rates[-1]
    assert buffers == sorted(buffers, reverse=True)
    assert multipliers == sorted(multipliers, reverse=True) and len({*multipliers}) == 3


@pytest.mark.parametrize("work", ["inference", "epoch"])
@pytest.mark.parametrize("data", [DATA, "community:80,12,20,3"])
def test_the_closed_form_ranks_as_the_cycle_model_does(work, data):
    graph = datasets.load(data)
    row = Row(name=data, data=data, config="", work=work, options={"sampled": False})
    network = row.training().network(graph.features.shape[1], graph.classes)
    ranked = candidates(stages(graph, network, work), Budget(multipliers=24, port_bytes=8))
    predicted = []
    for each in (ranked[0], ranked[len(ranked) // 2], ranked[-1]):
        with devices.open("model", each.config, memory_megabytes=2) as device:
            predicted.append(measure(row, graph, device, run=False).predicted)
    assert predicted[0] < min(predicted[1:]) and predicted[1] < 1.1 * predicted[2]


def test_the_estimate_is_near_the_cycle_model_where_nothing_is_tiled():
    graph = datasets.load(DATA)
    config = AcceleratorConfig.from_toml("odd")
    row = Row(name=DATA, data=DATA, config="odd", work="inference")
    with devices.open("model:odd", memory_megabytes=2) as device:
        predicted = measure(row, graph, device, run=False).predicted
    assert estimate(stages(graph, NETWORK, "inference"), config) == pytest.approx(
        predicted, rel=0.4
    )


@pytest.mark.sim
def test_the_winner_is_written_and_confirmed_on_the_rtl(capsys):
    words = ["explore", "--data", "sbm:40,2", "--multipliers", 2, "--buffers", 4_500, "--port", 4]
    words += ["--set", "hidden=2", "--toml", "found/best.toml", "--memory-megabytes", 1]
    document = run(capsys, *words, "--confirm", "--json", "-").json()
    winner = document["found"][0]
    config = AcceleratorConfig.from_toml("found/best.toml")
    assert config.multipliers == 2 and buffer_bytes(config) <= 4_500
    assert winner["cycles"] and abs(winner["prediction_error"]) < 0.05
    assert winner["sizes"]["operand_depth"] == config.operand_depth
    spoken = run(capsys, *words)
    assert (
        spoken.code == 0
        and "1x1+1x1" in spoken.out
        and f"{winner['predicted_cycles']:,}" in (spoken.out)
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "needs resources to spend; try --multipliers"),
        (["--multipliers", 1], "1 multipliers are not one for each engine"),
        (["--multipliers", 9, "--port", 5], "--port 5 is no power of two"),
        (["--multipliers", 9, "--top", 0], "--top 0 leaves nothing"),
        (["--multipliers", 9, "--buffers", 9], "no configuration of 9 multipliers fits"),
        (["--part", "lfe5u-25f", "--toml", "/"], "cannot write /"),
        (["--part", "spartan"], "invalid choice"),
        (["--multipliers", 9, "--memory", "tape"], "unknown memory 'tape'"),
    ],
)
def test_mistakes_are_one_line(capsys, words, message):
    done = run(capsys, "explore", "--data", "sbm:40,2", *words)
    assert done.code == 2 and message in done.err and "Traceback" not in done.err


def test_predictions_of_what_is_found_are_those_of_the_cycle_model(capsys):
    words = ["explore", "--data", "sbm:40,2", "--multipliers", 4, "--port", 4, "--top", 2]
    found = run(capsys, *words, "--json", "-").json()["found"]
    assert len(found) == 2
    sizes = found[0]["sizes"]
    config = AcceleratorConfig.from_mapping(
        {name: sizes[name] for name in AcceleratorConfig.__dataclass_fields__}
    )
    graph = datasets.load("sbm:40,2")
    row = Row(name="x", data="sbm:40,2", config="", work="inference")
    with devices.open("model", config, memory_megabytes=2) as device:
        measured = measure(row, graph, device, run=False)
    assert found[0]["predicted_cycles"] == measured.predicted <= found[1]["predicted_cycles"]
