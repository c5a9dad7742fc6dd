# SPDX-License-Identifier: Apache-2.0
"""Measurements of sampled training: small ones of each kind, and what is made of their rows."""

import pytest

from gcnloom.study.finding import load_findings
from gcnloom_sim.measure.__main__ import main as measure
from gcnloom_sim.measure.minibatch import findings, memory, sampling, training, waiting
from gcnloom_sim.measure.minibatch.figure import Figure
from gcnloom_sim.measure.minibatch.findings import Claim

SMALL = {
    "B2": ["cooperation", "--data", "sbm:300,3", "--batch", "8", "--layers", "3"],
    "B3": ["bits", "--data", "sbm:40,2", "--device", "model:demo"],
    "C2": ["accuracy", "--data", "sbm:30,2", "--seeds", "1", "--samplers", "labor"],
    "B5": ["dependence", "--data", "sbm:300,3", "--trained", "sbm:30,2", "--seeds", "1"],
    "C3": ["memory", "--nodes", "64", "128", "--degree", "4", "--fanout", "2", "--batch", "4"],
    "C4": ["waiting", "--data", "sbm:30,2", "--device", "model:demo"],
}
ROWS = {"B2": 2, "B3": 7, "C2": 2, "B5": 2, "C3": 4, "C4": 3}


@pytest.fixture
def brief(monkeypatch):
    monkeypatch.setattr(training, "EPOCHS", 2)
    monkeypatch.setattr(training, "FULL_EPOCHS", 2)
    monkeypatch.setattr(memory, "MEASURED", 2)
    monkeypatch.setattr(waiting, "STEPS", 1)
    for name in ("WARM", "COUNTED"):
        monkeypatch.setattr(sampling, name, 2)
    recipe = training.replace(training.RECIPE, epochs=2, hidden=4)
    monkeypatch.setattr(training, "RECIPE", recipe)


@pytest.mark.parametrize("statement", SMALL)
def test_a_measurement_leaves_a_table_and_a_finding(capsys, tmp_path, brief, statement):
    if statement == "B3":
        pytest.importorskip("pymetis")
    kept = ["--findings", str(tmp_path / "f"), "--json", str(tmp_path / "table.json")]
    assert measure(["minibatch", *SMALL[statement], *kept]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + ROWS[statement]
    assert len({line.count("|") for line in lines}) == 1
    found = {each.statement: each for each in load_findings(tmp_path / "f")}
    finding = found[statement]
    words = " ".join(SMALL[statement])
    assert finding.command == f"python -m gcnloom_sim.measure minibatch {words}"
    assert finding.measured
    assert finding.verdict == "shown" or finding.why
    assert finding.command in (tmp_path / "table.json").read_text()


def test_a_board_waits_by_its_clock_and_its_line(monkeypatch):
    steps = waiting._Steps(
        making=0.05, device=0.06, beside=0.01, waited=0.4, cycles=60_000, moved=30_000
    )
    monkeypatch.setattr(waiting, "_timed", lambda *given, **named: steps)
    rows = waiting.waiting_rows(["sbm:30,2"], lambda graph: 4, ["model"], 60e6, 3e6, print)
    shares = [[round(float(cell), 1) for cell in row[-2:]] for row in rows]
    # 1 ms of cycles, 100 ms on the line, 10 ms of the host, and 50 ms for a batch.
    alone = [100 * 50 / (50 + 111), 100 * 50 / (50 + 11)]
    assert shares == [[40.0, 40.0], [round(alone[0], 1), 0.0], [round(alone[1], 1), 78.0]]


def test_tables_kept_earlier_are_judged_together(capsys, tmp_path):
    for data in ("sbm:300,3", "rmat:8,8"):
        path = str(tmp_path / f"{data[:3]}.json")
        small = ["cooperation", "--data", data, "--batch", "8"]
        assert measure(["minibatch", *small, "--json", path]) == 0
    fresh = capsys.readouterr().out.splitlines()
    kept = ["--kept", *(str(tmp_path / f"{name}.json") for name in ("sbm", "rma"))]
    folder = tmp_path / "findings"
    assert measure(["minibatch", "cooperation", *kept, "--findings", str(folder)]) == 0
    again = capsys.readouterr().out.splitlines()
    assert again == [*fresh[:4], *fresh[6:]]
    (finding,) = load_findings(folder)
    assert finding.command.count("measure minibatch cooperation --data") == 2
    path = tmp_path / "sbm.json"
    assert measure(["minibatch", "memory", "--kept", str(path)]) == 2
    assert "sbm.json is no table of memory" in capsys.readouterr().err


def _claim(judge, enough=2):
    return Claim(statement="B2", asked="much", enough=enough, judge=judge)


def _factors(*found):
    return [
        (f"rmat{number}", Figure(32, ".0f", " %"), "labor", 3, 256, *map(Figure, each))
        for number, each in enumerate(found)
    ]


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        (_factors((1.5, 2.5, 3.5), (1.4, 2.0, 3.0)), "shown"),
        (_factors((1.5, 2.5, 3.5)), "not shown"),
        (_factors((1.5, 2.5, 3.5), (1.5, 2.5, 2.9)), "not shown"),
        (_factors((1.3, 2.5, 3.5), (1.5, 1.9, 3.5)), "refuted"),
    ],
)
def test_a_claim_is_shown_by_enough_rows_and_refuted_where_all_miss(rows, verdict):
    finding = _claim(findings.cooperation).finding(rows, "command")
    assert finding.verdict == verdict
    assert bool(finding.why) == (verdict != "shown")


def test_figures_keep_what_they_do_not_print():
    assert str(Figure(1234.567, ",.1f", " ms")) == "1,234.6 ms"
    assert Figure(1234.567) == 1234.567


def test_points_and_shares_have_limits():
    def accuracy(points):
        return [("digits", "labor", 80, "", "", Figure(points), "", "0 of 1")]

    assert not findings.accuracy(accuracy(-0.9))[1]
    assert findings.accuracy(accuracy(-0.91))[1]

    def dependence(points, less):
        moved = ["rmat", "labor", 256, "", "", "", 5, 2, Figure(less)]
        return [moved, ["digits", "labor", 50, "", "", Figure(points), 1, 1, Figure(3.0)]]

    assert not findings.dependence(dependence(0.3, 2.5))[1]
    assert len(findings.dependence(dependence(-0.31, 2.49))[1]) == 2

    def waits(share):
        return [("digits", 50, "model", "9 ms", "1 ms", "", "", Figure(share))]

    assert not findings.waiting(waits(10.0))[1]
    assert findings.waiting(waits(10.1))[1]
