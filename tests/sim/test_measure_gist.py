# SPDX-License-Identifier: Apache-2.0
"""``measure gist``: tables, findings, trainings that are kept, and the rule by which they count."""

import numpy as np
import pytest

from gcnloom.graphs import datasets
from gcnloom.study.finding import load_findings
from gcnloom.training.options import Options
from gcnloom_sim.measure.__main__ import main
from gcnloom_sim.measure.accuracy import train_float
from gcnloom_sim.measure.gist import accuracy, wide, work
from gcnloom_sim.measure.gist.floating import Look, train_gist_float

TINY = ["--set", "hidden=8", "--epochs", "8", "--local-iterations", "2", "4", "--seeds", "2"]
MADE = ["accuracy", "--data", "sbm:24,2", "--workers", "1", "2", *TINY]


def measured(capsys, folder, *arguments):
    """Rows of a table, split into cells, and its finding."""
    assert main(["gist", *map(str, arguments), "--findings", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (finding,) = load_findings(folder)
    assert finding.command.startswith(f"python -m gcnloom_sim.measure gist {arguments[0]}")
    return [line.strip("| ").split(" | ") for line in lines[2:]], finding


def trained(data, workers, iterations, seed, *looks):
    """A training with so many looks, pairs of accuracies on validation and test nodes."""
    return accuracy.Study(
        data=data, workers=workers, local_iterations=iterations, seed=seed,
        options=Options(epochs=8).as_dict(),
        looks=[Look(epoch=each + 1, val=val, test=test) for each, (val, test) in enumerate(looks)],
    )  # fmt: skip


def test_groups_are_tried_and_few_trials_show_nothing(capsys, tmp_path):
    rows, finding = measured(capsys, tmp_path, "groups", "--trials", 20)
    assert rows == [["20", "20", "20"]]
    assert (finding.statement, finding.verdict) == ("G1", "not shown")
    assert measured(capsys, tmp_path, "groups")[1].verdict == "shown"


def test_shares_never_trained_stay_near_the_formula(capsys, tmp_path):
    rows, finding = measured(capsys, tmp_path, "coverage", "--hidden", 64, "--rounds", 4)
    assert rows[0][:4] == ["2", "1", "50.000 %", "50.000 %"]
    assert (finding.statement, finding.verdict) == ("G6", "shown")


def test_bytes_are_those_of_the_formula(capsys, tmp_path):
    small = ["--data", "sbm:20,2", "--device", "model:odd", "--hidden", 4, "--workers", 2]
    rows, finding = measured(capsys, tmp_path, "bytes", *small, "--local-iterations", 2)
    # 32 features, 2 neurons, 2 neurons, 2 classes: out and back, 8 bytes each.
    assert rows[0][3] == rows[0][4] == f"{2 * 8 * (32 * 2 + 2 * 2 + 2 * 2):,}"
    assert (finding.statement, finding.verdict) == ("G4", "shown")


def test_work_along_edges_is_told_apart():
    found = work.works("community:40,4,16,4", "model:demo", 32, [1, 2])
    assert found[0].ratios == (1.0,) * 6
    assert found[1].ratios[:5] == pytest.approx([1.0] * 5)
    finding = work.work_finding(found, "command")
    assert finding.verdict == "refuted"
    assert "weights and MACs by them within 0.00 %" in finding.measured
    alike = [each for each in found if each.workers == 1]
    assert work.work_finding(alike, "command").verdict == "shown"


def test_one_worker_in_floating_point_is_an_ordinary_training():
    graph = datasets.load("sbm:40,3", seed=1)
    options = Options(hidden=8, layers=3, epochs=9, lr=0.3, seed=1)
    looks = list(train_gist_float(graph, options, 1, 9))
    expected, _ = train_float(graph, options, np.arange(graph.nodes))
    assert [look.epoch for look in looks] == list(range(1, 10))
    assert looks[-1].test == expected


def test_trainings_are_kept_and_not_redone_and_their_cycles_predicted(
    capsys, tmp_path, monkeypatch
):
    path, findings = tmp_path / "kept.json", tmp_path / "findings"
    rows, finding = measured(capsys, findings, *MADE, "--json", path)
    assert [row[1] for row in rows] == ["1", "2", "2"]
    assert [row[3:5] for row in rows] == [["8", "2"], ["4", "2"], ["4", "2"]]
    assert (finding.statement, finding.verdict) == ("G2", "not shown")
    assert "m = 1: same bits" in finding.measured

    def fails(*_):
        raise AssertionError("it is kept already")

    monkeypatch.setattr(accuracy, "train_gist_float", fails)
    assert main(["gist", *MADE, "--json", str(path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(rows)
    speed = ["speed", "--data", "sbm:24,2", "--json", path]
    (one, two), finding = measured(capsys, tmp_path / "speed", *speed)
    assert (finding.statement, finding.verdict) == ("G7", "shown")
    epoch, whole = (int(one[column].replace(",", "")) for column in (4, 6))
    assert (whole % epoch, whole > 8 * epoch, one[8]) == (0, True, "0")
    assert float(two[7]) > 1
    assert int(two[8].replace(",", "")) > 0


def test_local_iterations_are_chosen_on_validation_nodes_and_weights_too():
    studies = [
        trained("digits", 1, 8, 0, (0.8, 0.9), (0.9, 0.8), (0.9, 0.1)),
        trained("digits", 2, 1, 0, (0.7, 0.99)),
        trained("digits", 2, 2, 0, (0.8, 0.796)),
    ]
    one, chosen = accuracy.chosen(accuracy.grouped(studies)).values()
    assert (one.test, chosen.local_iterations) == (80.0, 2)
    rows = list(accuracy.accuracy_rows(studies))
    assert [row[2] for row in rows] == ["**8**", "1", "**2**"]
    assert rows[2][8] == "+0.40"


@pytest.mark.parametrize(("test", "verdict"), [(0.796, "shown"), (0.794, "refuted")])
def test_a_finding_wants_every_seed_and_graph_within_the_limits(test, verdict):
    def studies(seeds):
        return [
            trained(data, workers, 8, seed, (0.9, test if workers == 2 else 0.8))
            for data in ("cora", "digits") for workers in (1, 2, 4, 8) for seed in range(seeds)
        ]  # fmt: skip

    assert accuracy.accuracy_finding(studies(5), True, "command").verdict == verdict
    assert accuracy.accuracy_finding(studies(5), False, "command").verdict == "refuted"
    few = accuracy.accuracy_finding(studies(4), True, "command")
    assert few.verdict == "not shown"
    assert "fewer than 5 seeds of cora with 2 workers" in few.why


def test_parts_of_a_network_wider_than_the_memory_stay_on_their_devices():
    settings = Options(hidden=16, layers=3, epochs=4, update="host", optimiser="adam")
    found = wide.train_wide("sbm:12,2", "demo", 4, 1, settings, lambda _: None)
    assert found.part.need == found.memory
    assert found.part.streamed == 0
    assert found.whole.need > found.memory
    assert found.whole.streamed is None or found.whole.streamed > 0
    assert found.whole.weights == (16 + 32 + 2) * 16
    assert wide.wide_finding(found, "command").verdict == "not shown"
    assert len(list(wide.wide_rows(found))) == 2
