# SPDX-License-Identifier: Apache-2.0
"""The other commands: infer, info, listing, doctor and help."""

import numpy as np
import pytest

from gcnloom.programs.program import Program
from gcnloom_spec.config import AcceleratorConfig, named_configs
from tests.sw.cli import MODEL, run
from tests.sw.graphs import block_model, write_npz

DATA = ["--data", "sbm:40,2"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([], ["train", "infer", "info", "listing", "doctor", "exit codes"]),
        (["train"], ["--data", "--device", "--resume", "--checkpoint-every", "examples"]),
        (["infer"], ["--checkpoint", "--output", "--json"]),
        (["info"], ["--config", "--data"]),
        (["listing"], ["--pass", "--save"]),
        (["doctor"], ["--json", "--quiet"]),
    ],
)
def test_help_names_what_there_is(capsys, command, words):
    done = run(capsys, *command, "--help")
    assert (done.code, done.err) == (0, "")
    assert all(word in done.out for word in words)


def test_inference_classifies_every_node_as_training_did(capsys, folder):
    train = ["train", *DATA, *MODEL, "--epochs", 4, "--hidden", 4, "--seed", 2]
    trained = run(capsys, *train, "--json", "-").json()
    infer = ["infer", *DATA, *MODEL, "--checkpoint", "gcnloom-sbm-40,2.npz"]
    done = run(capsys, *infer, "--json", "-", "--output", "deep/classes.csv")
    document = done.json()
    assert document["accuracy"] == trained["accuracy"]
    lines = (folder / "deep" / "classes.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "node,class"
    expected = [f"{node},{label}" for node, label in enumerate(document["classes"])]
    assert lines[1:] == expected
    spoken = run(capsys, *infer)
    assert spoken.out.startswith("40 nodes; accuracy train ")
    assert run(capsys, *infer, "-q").out == ""


def test_inference_takes_other_graphs_with_the_same_features(capsys):
    run(capsys, "train", *DATA, *MODEL, "--epochs", 1, "--checkpoint", "a.npz")
    other = write_npz("other.npz", block_model(60, 2, seed=8))
    done = run(capsys, "infer", "--data", other, *MODEL, "--checkpoint", "a.npz", "--json", "-")
    assert len(done.json()["classes"]) == 60


def test_info_lists_configurations_and_describes_one_of_them(capsys):
    assert run(capsys, "info", "--json", "-").json()["configurations"].keys() == {*named_configs()}
    done = run(capsys, "info", "--config", "odd", "--json", "-")
    described = done.json()["configuration"]
    assert described["digest"] == AcceleratorConfig.from_toml("odd").digest
    assert described["operand_bytes"] == 5 * 600 * 3
    parts = [value for name, value in described.items() if name.endswith("_bytes")]
    assert described["buffer_bytes"] == 47_134 <= sum(parts)
    assert "pes                  5" in run(capsys, "info", "--config", "odd").out


def test_info_describes_a_graph(capsys):
    graph = block_model()
    described = run(capsys, "info", *DATA, "--seed", 3, "--json", "-").json()["graph"]
    assert described["nodes"] == 40
    assert described["edges"] == graph.adjacency.nnz
    assert described["largest_degree"] == np.bincount(graph.adjacency.indices).max()
    assert described["directed"] is False
    assert described["train"] == len(graph.train)


@pytest.mark.parametrize("name", ["forward", "infer", "backward"])
def test_a_program_is_listed_saved_and_listed_again(capsys, name):
    lower = ["listing", *DATA, "--config", "odd", "--pass", name]
    fresh = run(capsys, *lower, "--save", "program.npz")
    program = Program.load("program.npz")
    again = run(capsys, "listing", "program.npz", "--config", "odd")
    assert len(fresh.out.splitlines()) == len(again.out.splitlines()) == len(program)
    assert "transform" in again.out
    document = run(capsys, *lower, "--json", "-").json()
    assert (document["digest"], document["commands"]) == (program.digest, len(program))


def test_the_doctors_exit_code_says_whether_all_is_there(capsys, monkeypatch):
    done = run(capsys, "doctor", "--json", "-")
    checks = done.json()["checks"]
    assert done.code == (0 if all(check["ok"] for check in checks) else 1)
    monkeypatch.setattr("gcnloom.cli.inspect.checks", lambda: [])
    assert run(capsys, "doctor", "-q") == run(capsys, "info", "-q")
