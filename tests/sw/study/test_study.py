# SPDX-License-Identifier: Apache-2.0
"""``gcnloom study``: trains what is missing, goes on, keeps what failed, reports."""

import json
from pathlib import Path

import pytest

from gcnloom.cli import study as command
from gcnloom.cli.parallel import CHOICES
from gcnloom.cli.running import options_of, train_case
from gcnloom.study.cases import load_study
from gcnloom.study.finding import Finding
from gcnloom.study.statements import STATEMENTS
from tests.sw.cli import run
from tests.sw.study.matrix import study_file

EXAMPLE = Path(__file__).parents[3] / "examples" / "study.toml"
FAILING = """
[modes.many]
parallel = "mop"
workers = [100]
"""


@pytest.fixture
def trained(monkeypatch):
    """Titles of what is trained; at a title in `stop` the keyboard interrupts instead."""

    class Trained(list):
        stop = None

    titles = Trained()

    def train(case):
        if case.mode == titles.stop:
            raise KeyboardInterrupt
        titles.append(case.mode)
        return train_case(case)

    monkeypatch.setattr(command, "train_case", train)
    return titles


def test_an_interrupted_study_goes_on_and_repeats_nothing(tmp_path, capsys, trained):
    path, folder = study_file(tmp_path), tmp_path / "out"
    trained.stop = "mop"
    stopped = run(capsys, "study", path, "-o", folder)
    assert stopped.code == 130
    assert "1 of 2 trainings are kept" in stopped.err
    assert trained == ["single"]
    trained.stop = None
    assert run(capsys, "study", path, "-o", folder).code == 0
    assert trained == ["single", "mop"]
    assert run(capsys, "study", path, "-o", folder).code == 0
    assert trained == ["single", "mop"]


def test_a_training_that_fails_is_kept_with_its_error_and_the_others_go_on(
    tmp_path, capsys, trained
):
    path, folder = study_file(tmp_path, FAILING + "[modes.partition]"), tmp_path / "out"
    outcome = run(capsys, "study", path, "-o", folder)
    assert outcome.code == 0
    assert "failed: many on sbm:60,3, 100 workers" in outcome.err
    assert "3 trainings, 1 failed" in outcome.out
    kept = [json.loads(file.read_text()) for file in (folder / "runs").glob("*.json")]
    errors = {each["case"]["mode"]: each["error"] for each in kept}
    assert errors.pop("many").startswith("ConfigError: workers=100 is outside 1..60")
    assert errors == {"single": "", "mop": "", "partition": ""}
    assert "workers=100 is outside" in (folder / "report.md").read_text()
    run(capsys, "study", path, "-o", folder)
    assert trained.count("many") == 1
    run(capsys, "study", path, "-o", folder, "--retry")
    assert trained.count("many") == 2
    assert trained.count("mop") == 1


def test_the_report_has_every_statement_its_own_findings_and_those_kept(tmp_path, capsys):
    path, folder, findings = study_file(tmp_path), tmp_path / "out", tmp_path / "findings"
    for name in ("B1", "M2"):
        Finding(
            statement=name, verdict="refuted", asked="much", measured="little", command="true"
        ).save(findings)
    assert run(capsys, "study", path, "-o", folder, "--findings", findings).code == 0
    text = (folder / "report.md").read_text()
    rows = {line.split(" | ")[0][2:]: line for line in text.splitlines() if line.startswith("| ")}
    assert {each.name for each in STATEMENTS} <= rows.keys()
    assert "| refuted | little |" in rows["B1"]
    assert "| shown | 1 of 1 trainings end with one device's bits" in rows["M2"]
    assert "| not shown | not measured |" in rows["A4"]
    page = (folder / "report.html").read_text()
    assert page.count("<svg") == 2
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    for name in ("bytes-sbm-60-3.svg", "time-sbm-60-3.svg"):
        assert f"]({name})" in text
        assert (folder / name).read_text().startswith("<svg")


def test_findings_that_are_not_there_are_told(tmp_path, capsys, trained):
    outcome = run(capsys, "study", study_file(tmp_path), "--findings", tmp_path / "none")
    assert (outcome.code, trained) == (2, [])
    assert "none is no folder; try docs/results/statements" in outcome.err


def test_a_study_of_which_everything_fails_has_a_report(tmp_path, capsys):
    path, folder = study_file(tmp_path), tmp_path / "out"
    path.write_text(path.read_text().replace("sbm:60,3", "missing.npz"), encoding="utf-8")
    assert "0 trainings, 2 failed" in run(capsys, "study", path, "-o", folder).out
    assert "missing.npz cannot be read" in (folder / "report.md").read_text()


def test_the_example_can_be_trained():
    study = load_study(EXAMPLE)
    assert {case.parallel for case in study.cases} >= set(CHOICES)
    assert all(options_of(case).parallel == case.parallel for case in study.cases)
    assert len({case.digest for case in study.cases}) == len(study.cases)


def test_what_an_epoch_will_take_is_told_without_training(tmp_path, capsys, trained):
    outcome = run(capsys, "study", study_file(tmp_path), "-o", tmp_path / "out", "--foretell")
    assert [line.split(" on ")[0] for line in outcome.out.splitlines()[1:]] == ["single", "mop"]
    assert trained == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ("[modes.gist]\nbeans = 3", "mode 'gist': unrecognized arguments: --beans 3"),
        ("[modes.gist]\nepochs = 1.5", "mode 'gist': argument --epochs: invalid int value: '1.5'"),
        ("[modes.gist]\nresume = true", "mode 'gist' sets 'resume', which is the study's"),
        ("[modes.gist]\nworkers = 2", "mode 'gist' has no list of workers; try"),
        ("[beans]", "has 'beans', which is unknown; try study, training, modes, device, link"),
        ("[[link]]\nname = 'a'", "has no bandwidth"),
        ("[[link]]\nname = 'a'\nbandwidth = 0\nlatency = 0", "bandwidth=0.0 moves nothing"),
        ("[[link]]\nname = 'a'\nbandwidth = 'b'\nlatency = 0", "bandwidth = 'b' is no number"),
        ("[modes.gist]\ngraphs = [3]", "mode 'gist' has 3 among its graphs"),
        ("[modes", "cannot read"),
    ],
)
def test_a_mistake_in_the_file_is_told_before_anything_is_trained(
    tmp_path, capsys, trained, more, error
):
    outcome = run(capsys, "study", study_file(tmp_path, more), "-o", tmp_path / "out")
    assert outcome.code == 2
    assert error in outcome.err
    assert trained == []
