# SPDX-License-Identifier: Apache-2.0
"""``gcnloom bench``: what it prints is what the device counted and what the graph needs."""

import re
import xml.etree.ElementTree as ElementTree
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from gcnloom import device as devices
from gcnloom.cli import plugins
from gcnloom.graphs import datasets
from gcnloom.training.engine import Engine
from gcnloom.training.trainer import Trainer
from gcnloom_sim.workloads import command
from gcnloom_sim.workloads.measurement import measure
from gcnloom_sim.workloads.rows import CORA, ROWS, Row, chosen
from gcnloom_sim.workloads.tables import markdown
from gcnloom_sim.workloads.traffic import port_cycles
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Unit
from tests.sw.cli import run
from tests.sw.graphs import block_model, write_npz
from tests.sw.host import host_options

DATA = "sbm:40,2"
SMALL = ["--data", DATA, "--config", "smallest", "--set", "hidden=4"]


@pytest.fixture(autouse=True)
def installed(tmp_path, monkeypatch):
    entry = EntryPoint("bench", "gcnloom_sim.workloads.command:add_command", plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry])
    monkeypatch.chdir(tmp_path)


def necessary(graph, hidden, passes):
    """Multiplications of a two-layer network, product by product."""
    edges = graph.adjacency.nnz + graph.nodes
    inputs = np.count_nonzero(graph.features.toarray())
    dense = graph.nodes * hidden * graph.classes
    forward = inputs * hidden + edges * hidden + dense + edges * graph.classes
    return {"inference": forward, "epoch": 2 * forward + dense}[passes]


@pytest.mark.parametrize("work", ["inference", "epoch"])
def test_a_prediction_needs_no_simulator_and_adds_up(capsys, work):
    words = ["bench", *SMALL, "sampled=false", "--pass", work, "--predict", "--json", "-"]
    done = run(capsys, *words)
    assert done.code == 0
    (row,) = done.json()["rows"]
    graph = datasets.load(DATA)
    assert row["cycles"] is None and row["prediction_error"] is None
    assert row["necessary_macs"] == necessary(graph, 4, work)
    assert row["ideal_cycles"] == -(-row["necessary_macs"] // 2)
    utilisation = row["necessary_macs"] / (2 * row["predicted_cycles"])
    assert row["effective_utilisation"] == pytest.approx(utilisation)
    assert row["bytes_per_cycle"] == sum(row["bytes"].values()) / row["predicted_cycles"]
    assert row["memory_cycles"] < row["predicted_cycles"]


def test_a_prediction_knows_the_memory(capsys):
    words = ["bench", *SMALL, "--predict", "--json", "-"]
    found = [
        run(capsys, *words, "--memory", memory).json()["rows"][0]
        for memory in ("ideal", "ddr3-16", "sdram16")
    ]
    cycles = [row["predicted_cycles"] for row in found]
    assert cycles == sorted(cycles) and cycles[0] < cycles[-1]
    assert all(row["predicted_cycles"] >= row["memory_cycles"] for row in found)


@pytest.mark.sim
@pytest.mark.parametrize("work", ["inference", "epoch"])
def test_a_row_has_the_counters_of_one_settled_run(work):
    graph = datasets.load(DATA)
    row = Row(name="x", data=DATA, config="smallest", work=work, options={"hidden": 4})
    with devices.open("rtl:smallest", memory_megabytes=1) as device:
        done = measure(row, graph, device)
        cycles, words = _repeated(row, graph, device)
    assert done.cycles == cycles
    assert abs(done.error) < 0.05
    assert {name: count for name, count in done.bytes.items() if count} == words
    assert done.units.keys() == {unit.name.lower() for unit in Unit}
    assert 0 < done.units["aggregate"]["active"] < cycles
    predicted = measure(row, graph, devices.open("model:smallest", memory_megabytes=1), run=False)
    assert predicted.predicted == done.predicted
    assert {name: count for name, count in predicted.bytes.items() if count} == words
    assert predicted.edges_multiplied >= done.edges_multiplied > 0


def _repeated(row, graph, device):
    """Cycles and bytes of the device's last runs of a training or an inference of one's own."""
    options = host_options(hidden=4, epochs=1)
    if row.work == "epoch":
        trainer = Trainer(graph, options, device)
        trainer.run()
        engine, passes = trainer.engine, ("forward", "backward")
        steps = [getattr(engine.lowered, name) for name in passes]
    else:
        network = options.network(graph.features.shape[1], graph.classes)
        engine = Engine(graph, network, device)
        steps = [engine.lowered.infer]
    counted = [device.run(step).counters for step in steps]
    words = {
        name.removesuffix("_words"): sum(count[name] for count in counted) * 4
        for name in counted[0]
        if name.endswith("_words")
    }
    return sum(count["cycles"] for count in counted), {k: v for k, v in words.items() if v}


@pytest.mark.sim
def test_rows_are_printed_as_text_and_as_markdown(capsys):
    done = run(capsys, "bench", *SMALL, "--roofline", "picture.svg")
    cells = re.search(rf"{DATA} +smallest +ideal +(\S+) +(\S+) +(\S+)", done.out).groups()
    edges, cycles, predicted = (int(cell.replace(",", "")) for cell in cells)
    assert edges == datasets.load(DATA).adjacency.nnz
    assert abs(predicted / cycles - 1) < 0.05
    assert all(f"{DATA}  {unit.name.lower()}" in done.out for unit in Unit)
    picture = ElementTree.parse("picture.svg").getroot()
    assert len([node for node in picture if node.get("class") == "dot"]) == 1
    table = run(capsys, "bench", *SMALL, "--markdown").out.splitlines()
    header = next(line for line in table if line.startswith("| row"))
    (row,) = [line for line in table if f"{cycles:,}" in line]
    assert header.count("|") == row.count("|")


def test_engines_of_equal_work_run_side_by_side_nearly_all_the_time():
    pipelined, serial = chosen(["balanced", "balanced-serial"])
    assert serial.data == pipelined.data and serial.config == pipelined.config
    graph, done = datasets.load(pipelined.data), []
    for row in (pipelined, serial):
        with devices.open(f"model:{row.config}", memory_megabytes=row.megabytes) as device:
            done.append(measure(row, graph, device, run=False))
    for engine in ("aggregate", "transform"):
        assert done[0].units[engine]["active"] > 0.97 * done[0].predicted
        assert done[1].units[engine]["active"] == done[0].units[engine]["active"]
    both = sum(done[1].units[engine]["active"] for engine in ("aggregate", "transform"))
    assert done[1].predicted > both > 1.9 * done[0].predicted


def test_rows_that_cannot_run_say_why_and_the_others_go_on(capsys, monkeypatch):
    rows = (
        Row(name="first", data=CORA, config="smallest", work="inference"),
        Row(name="second", data=DATA, config="smallest", work="epoch", options={"magic": 1}),
        Row(name="third", data="absent.npz", config="smallest", work="inference"),
        Row(name="fourth", data=DATA, config="smallest", work="inference"),
    )
    monkeypatch.setattr(command, "chosen", lambda names: chosen(names, rows))
    done = run(capsys, "bench", "--predict", "--json", "-")
    document = done.json()
    assert [row["row"] for row in document["rows"]] == ["fourth"]
    assert document["skipped"]["first"] == "needs --cora FILE.npz"
    assert "no option magic" in document["skipped"]["second"]
    assert "absent.npz" in document["skipped"]["third"]
    file = write_npz("cora.npz", block_model())
    done = run(capsys, "bench", "first", "--cora", file, "--predict", "--json", "-")
    assert done.json()["rows"][0]["nodes"] == 40


def test_an_interruption_keeps_the_rows_that_are_done(capsys, monkeypatch):
    real, begun = command._measured, []

    def interrupted(row, options, progress):
        begun.append(row)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return real(row, options, progress)

    monkeypatch.setattr(command, "_measured", interrupted)
    words = ["balanced", "rmat-1e4", "--data", DATA, "--config", "smallest", "--predict"]
    done = run(capsys, "bench", *words, "--json", "-")
    assert done.code == 130 and "after 1 of 2 rows" in done.err
    assert [row["row"] for row in done.json()["rows"]] == ["balanced"]
    assert done.json()["complete"] is False


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "unknown row 'nothing'; try one of cora-inference-16"),
        ([*SMALL, "depth=3"], "'depth=3' sets no option"),
        ([*SMALL, "hidden=x"], "'hidden=x' is no int; try hidden="),
        ([*SMALL, "sampled=maybe"], "'sampled=maybe' is no bool; try sampled=true"),
        (["--data", "sbm:9", "--predict"], "lacks two whole numbers"),
        (["balanced", "--roofline", "/"], "cannot write /"),
        (["balanced", "--memory", "tape"], "unknown memory 'tape'"),
    ],
)
def test_mistakes_are_one_line(capsys, words, message):
    done = run(capsys, "bench", *words)
    assert done.code == 2 and done.out == ""
    assert message in done.err and "Traceback" not in done.err


def test_every_row_is_complete(capsys):
    listed = run(capsys, "bench", "--list").out.splitlines()
    assert [line.split()[0] for line in listed] == [row.name for row in ROWS]
    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        AcceleratorConfig.from_toml(row.config)
        assert row.passes and row.purpose
    assert [row.name for row in chosen(["rmat-*", "balanced"])][-1] == "balanced"


@pytest.mark.parametrize(
    ("memory", "cycles"),
    [
        ("ideal", 100),
        ("ideal/50", 100),
        ("8", 250),
        ("64", 100),
        ("sdram16", 1000),
        ("sdram16+8K", 100),
    ],
)
def test_the_roof_is_the_busier_way_or_what_both_share(memory, cycles):
    assert port_cycles(1_600, 400, 16, memory) == cycles
    assert port_cycles(400, 1_600, 16, memory) == cycles


def test_no_rows_are_no_table():
    assert markdown([], {}) == "no rows"
    assert markdown([], {"a": "b"}) == "a was skipped: b"
