# SPDX-License-Identifier: Apache-2.0
"""Small instances of what is said of one device, and what is kept of it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gcnloom.cli.main import parser
from gcnloom.device import Device
from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.lower.graph import order_graph
from gcnloom.study.finding import load_findings
from gcnloom.training.options import Options
from gcnloom.transport import configuration
from gcnloom_sim.measure.__main__ import main
from gcnloom_sim.measure.statements import command, pipeline
from gcnloom_sim.measure.statements.axes import AXES, trained_by
from gcnloom_sim.measure.statements.brent import aggregations
from gcnloom_sim.measure.statements.hubs import hub, sized
from gcnloom_sim.measure.statements.measured import Measured
from gcnloom_sim.measure.statements.memory import held
from gcnloom_sim.measure.statements.operations import KINDS, counted, formulae
from gcnloom_sim.measure.statements.sampled import equals_reference, labelled, sampled
from gcnloom_spec.config import AcceleratorConfig
from tests.system import test_model_counters as narrow

ROOT = Path(__file__).parents[2]


def graph_of(nodes=37, width=11):
    """Dense features, sizes that nothing divides."""
    return datasets.load(f"community:{nodes},6,{width},3")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("config", ["odd", "demo", "tall", "banked"])
def test_counters_equal_the_formulae_in_whole_vectors(kind, config):
    graph = graph_of()
    network = Options(hidden=10, dropout=0.0, **KINDS[kind]).network(11, 3)
    with open_device(f"model:{config}", memory_megabytes=2) as device:
        found = counted(network, graph, device)
        expected = formulae(network, graph, device.config)
    for name, (operations, shares) in found.items():
        assert operations == expected[name]
        assert sum(shares.edges) == operations.edges


@pytest.mark.parametrize(
    ("ours", "theirs"), [("gcn", "gcn"), ("gcn, residual", "residual gcn"), ("sage", "sage")]
)
def test_formulae_are_those_of_single_multipliers_where_engines_have_one(ours, theirs):
    graph = narrow.ring()
    options = Options(hidden=narrow.HIDDEN, **KINDS[ours])
    network = options.network(narrow.FEATURES, narrow.CLASSES)
    wide = formulae(network, graph, AcceleratorConfig.from_toml("smallest"))
    expected = narrow.formulae(theirs, graph.nodes, graph.adjacency.nnz)
    assert {name: (each.edges, each.rows) for name, each in wide.items()} == expected


@pytest.mark.parametrize("pes", [1, 4, 8])
def test_a_long_row_takes_little_more_beyond_streaming_than_a_short_one(pes):
    with open_device("model", sized(pes), memory_megabytes=4) as device:
        short, long = (hub(degree, device, run=False) for degree in (1 << 7, 1 << 14))
    assert 0 < long.extra <= 2.5 * short.extra
    assert long.chunks >= 2 * pes
    assert long.streaming > (1 << 14) / pes


@pytest.mark.sim
def test_gateware_takes_as_long_over_a_row():
    with open_device("rtl:demo", memory_megabytes=4) as device:
        for degree in (1 << 7, 1 << 12):
            found = [hub(degree, device, run=run) for run in (True, False)]
            assert abs(found[0].extra - found[1].extra) <= 4
            assert found[0].cycles == pytest.approx(found[1].cycles, rel=0.01)


@pytest.mark.parametrize("data", ["rmat:9,8", "sbm:200,3"])
def test_time_is_work_over_elements_and_some_depth(data):
    graph = datasets.load(data)
    found = list(aggregations(graph.adjacency, most_pes=9))
    assert found[0].beats >= found[0].work == graph.adjacency.nnz + graph.nodes
    for each in found:
        assert each.work / each.pes <= each.beats
        assert each.time <= each.work / each.pes + 1.5 * each.depth
        assert each.factor <= 1.5


def test_masked_products_are_exact_and_their_work_is_the_masks():
    graph = labelled(datasets.load("community:200,4,16,4"), 1)
    assert len(graph.train) == 4
    with open_device("model:demo", memory_megabytes=4) as device:
        one = sampled(graph, device)
    assert one.exact
    assert one.some.necessary < 0.5 * one.every.necessary
    assert one.some.executed < 0.5 * one.every.executed
    assert one.tracks == pytest.approx(1, abs=0.05)


def test_a_wrong_masked_product_would_be_noticed(monkeypatch):
    graph = graph_of()
    spmm = Device.spmm
    with open_device("model:odd", memory_megabytes=1) as device:
        network = Options().network(11, 3)
        ordered = order_graph(replace(graph, train=graph.train[:1]), network, device.config)
        assert equals_reference(ordered, device)
        monkeypatch.setattr(Device, "spmm", lambda *given: spmm(*given) + (np.arange(3) == 2))
        assert not equals_reference(ordered, device)


def test_balanced_engines_overlap_and_hardly_idle():
    row = pipeline.BALANCED
    with open_device("model", configuration(row.config)) as device:
        both = pipeline.overlap(row, datasets.load(row.data), device, run=False)
    assert both.bound == pytest.approx(2, abs=0.01)
    assert 1.8 <= both.gain <= both.bound
    assert both.factor >= 1.8
    assert 0 <= both.idle <= 0.1


def test_a_workers_memory_is_topology_and_its_share_of_the_features():
    graph = datasets.load("community:48,6,16,16")
    found = {workers: held(graph, workers, "model:demo", hidden=16) for workers in (1, 2)}
    for workers, one in found.items():
        kinds = {name: size for name, size in one.bytes.items() if name != "peak"}
        assert one.bytes["peak"] == sum(kinds.values())
        assert one.bytes["topology"] == found[1].bytes["topology"] > 0
        assert one.bytes["features"] == one.features == found[1].features / workers
        excess = one.apart(found[1].bytes["topology"]) * (one.bytes["topology"] + one.features)
        assert excess == pytest.approx(one.bytes["weights"] + one.bytes["programs"])


def test_axes_are_switched_and_have_a_test():
    assert trained_by(["--no-such-axis"], "model") is None
    assert len({trained_by([switch], "model") for switch in ("--mixture", "--serial")}) == 1
    for axis in AXES:
        parser("train").parse_args(["train", "--data", "digits", *axis.without.split()])
        try:
            parser("train").parse_args(["train", "--data", "digits", *axis.switch.split()])
        except SystemExit:  # This version does not have it, and says so.
            continue
        assert (ROOT / axis.test).is_file(), axis.test


def test_a_finding_is_kept_with_what_measures_it_again(tmp_path, monkeypatch, capsys):
    def measure(options, say):
        say(options.cora)
        return Measured(
            header=("a", "b"), rows=[(1, 2)], held=[True, False], asked="1", measured="2", why="3"
        )

    monkeypatch.setitem(command.STATEMENTS, "A1", measure)
    words = ["statements", "A1", "--cora", "/somewhere/cora.npz", "--findings", str(tmp_path)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "| 1 | 2 |" in printed
    assert "| A1 | not shown | 1 | 2 | 3 |" in printed
    (finding,) = load_findings(tmp_path)
    assert finding.command == "python -m gcnloom_sim.measure statements A1 --cora cora.npz"
    assert json.loads((tmp_path / "A1.json").read_text())["verdict"] == "not shown"
    assert main(["statements", "Z9"]) == 2
    assert "'Z9' is no such statement; try A1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("held", "verdict"),
    [([True, True], "shown"), ([True, False], "not shown"), ([False], "refuted")],
)
def test_a_verdict_is_of_all_cases(held, verdict):
    one = Measured(header=(), rows=(), held=held, asked="", measured="")
    assert one.finding("A1", "").verdict == verdict
