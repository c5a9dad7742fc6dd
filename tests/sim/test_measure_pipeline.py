# SPDX-License-Identifier: Apache-2.0
"""``python -m gcnloom_sim.measure pipeline``: tables, and what they say of the statements."""

import json

import pytest

from gcnloom.parallel.pipeline import SYNCHRONOUS
from gcnloom.study.finding import load_findings
from gcnloom_sim.measure import pipeline
from gcnloom_sim.measure.__main__ import main
from gcnloom_sim.measure.parallel import Trained

SMALL = ["--data", "sbm:24,2", "--device", "model:odd", "--set", "hidden=4", "dropout=0.0"]


def _rows(capsys):
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines][2:]


def test_chunks_have_one_digest_and_show_a7(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(pipeline, "MOST_CHUNKS", 2)
    words = ["pipeline", "chunks", *SMALL, "--workers", "2", "--epochs", "1"]
    assert main([*words, "--findings", str(tmp_path)]) == 0
    rows = _rows(capsys)
    assert [row[:3] for row in rows] == [
        [mode, "2", chunks] for mode in ("mop", "partition") for chunks in "12"
    ]
    assert len({row[3] for row in rows}) == 1
    assert [row[4] != "0" for row in rows] == [False, True] * 2
    (finding,) = load_findings(tmp_path)
    assert (finding.statement, finding.verdict) == ("A7", "shown")
    assert finding.command.endswith("--workers 2 --epochs 1")


def test_staleness_trains_each_seed_once(capsys, tmp_path):
    file = tmp_path / "trainings.json"
    words = ["pipeline", "staleness", *SMALL, "--modes", "partition", "--staleness", "1"]
    words += ["--epochs", "3", "--seeds", "1", "--json", str(file)]
    assert main([*words, "--findings", str(tmp_path / "findings")]) == 0
    first = _rows(capsys)
    assert [row[:3] for row in first] == [["one device", "0", "0"], ["partition", "1", "1"]]
    kept = json.loads(file.read_text())
    for training in kept.values():
        training["test"] = 0.25
    file.write_text(json.dumps(kept))
    assert main(words) == 0
    assert [row[3] for row in _rows(capsys)] == ["25.00 %"] * 2
    (finding,) = load_findings(tmp_path / "findings")
    assert finding.statement == "A6"
    assert finding.verdict != "shown"  # One mode, one staleness.


@pytest.mark.parametrize(
    ("tests", "ages", "verdict"),
    [
        ({"mop": 0.9, "partition": 0.896}, 1, "shown"),
        ({"mop": 0.9, "partition": 0.894}, 1, "refuted"),
        ({"mop": 0.9, "partition": 0.9}, 3, "refuted"),
    ],
)
def test_what_staleness_says_follows_the_numbers(monkeypatch, tmp_path, tests, ages, verdict):
    def trained(graph, device, workers, mode, settings, given=SYNCHRONOUS):
        exchanges = {str(min(ages, given.staleness + (ages > 1))): 4}
        summary = {"staleness": {"exchanges": exchanges}}
        return Trained(weights="same", test=tests[mode], summary=summary)

    alone = Trained(weights="same", test=0.9, summary={})
    monkeypatch.setattr(pipeline, "trained_alone", lambda *_: alone)
    monkeypatch.setattr(pipeline, "trained_together", trained)
    assert main(["pipeline", "staleness", *SMALL, "--findings", str(tmp_path)]) == 0
    assert load_findings(tmp_path)[0].verdict == verdict
