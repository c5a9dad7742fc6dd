# SPDX-License-Identifier: Apache-2.0
"""Every mistake ends with one line that names it and its remedy, before any work is lost."""

import re

import numpy as np
import pytest

from gcnloom.programs.program import Program
from gcnloom_spec.commands import Load
from tests.sw.cli import MODEL, run
from tests.sw.graphs import block_model, write_npz

GRAPH = block_model()
DATA = ["--data", "sbm:40,2"]
TRAIN = ["train", *DATA, *MODEL, "--epochs", "1"]
INFER = ["infer", *DATA, *MODEL, "--checkpoint", "good.npz"]
FEATURES = GRAPH.features.toarray()


def with_value(value):
    features = FEATURES.copy()
    features[3, 2] = value
    return {"feat": features}


FILES = {
    "NaN in the features": (with_value(np.nan), r"features\[3, 2\] is nan"),
    "infinite features": (with_value(-np.inf), r"features\[3, 2\] is -inf"),
    "infinite weights": ({"adj_data": GRAPH.adjacency.data * np.inf}, "not finite"),
    "a label below -1": ({"labels": GRAPH.labels - 2}, "label -2 of node 0 is no class"),
    "no labels": ({"labels": GRAPH.labels * 0 - 1}, "no node has a label"),
    "real labels": ({"labels": GRAPH.labels + 0.5}, "labels is float64"),
    "a node too far": ({"train_idx": np.array([40])}, r"train names node 40; try .* 0\.\.39"),
    "a negative node": ({"val_idx": np.array([-1])}, "val names node -1"),
    "edges between no nodes": ({"adj_indices": GRAPH.adjacency.indices + 0.5}, "are float64 and"),
    "endless weights": ({"adj_data": np.full(GRAPH.adjacency.nnz, 1.7e308)}, "sum to more than"),
    "a class beyond reach": ({"labels": np.arange(40) * 2**33}, "features or classes is more"),
    "an edge too far": ({"adj_indices": GRAPH.adjacency.indices + 1}, "no .* CSR matrix"),
    "too few labels": ({"labels": GRAPH.labels[1:]}, r"labels have shape \(39,\)"),
    "too few features": ({"feat": FEATURES[1:]}, r"features have shape \(39, 32\)"),
    "no feature columns": ({"feat": FEATURES[:, :0]}, "no features"),
    "text for features": ({"feat": np.full((40, 2), "x")}, r"features is <U1; try .* real"),
    "complex weights": ({"adj_data": GRAPH.adjacency.data * 1j}, "adjacency is complex128"),
    "flat features": ({"feat": FEATURES.ravel()}, "features have shape"),
    "no nodes": (
        {"adj_indptr": np.zeros(1, int), "adj_indices": np.zeros(0, int),
         "adj_data": np.zeros(0), "feat": np.zeros((0, 3)), "labels": np.zeros(0, int)},
        "no nodes",
    ),
    "an empty pointer": ({"adj_indptr": np.zeros(0, int)}, "CSR matrix"),
    "a missing key": ({"labels": None}, "lacks labels"),
    "a pickle": ({"labels": np.array([1, None])}, "pickled objects"),
    "no training nodes": ({"train_idx": np.zeros(0, int)}, "no training nodes"),
    "negative degrees": ({"adj_data": -9 * GRAPH.adjacency.data}, "sum to -"),
    "a flat number": ({"labels": np.array(3)}, "labels is int64 of shape"),
}  # fmt: skip

LINES = {
    "no command": ([], "required: COMMAND"),
    "an unknown command": (["tarin"], "invalid choice"),
    "no data": (["train", *MODEL], "required: --data"),
    "an unknown option": ([*TRAIN, "--fast"], "--fast"),
    "text for a number": ([*TRAIN, "--lr", "fast"], "argument --lr"),
    "no epochs": ([*TRAIN, "--epochs", "0"], "epochs=0"),
    "negative epochs": ([*TRAIN, "--epochs", "-3"], "epochs=-3"),
    "negative hidden features": ([*TRAIN, "--hidden", "-4"], "hidden=-4"),
    "endless hidden features": ([*TRAIN, "--hidden", "99999999"], "try at most 65536"),
    "no layers": ([*TRAIN, "--layers", "0"], "layers=0"),
    "too many layers": ([*TRAIN, "--layers", "11"], "at most 10"),
    "a negative rate": ([*TRAIN, "--lr", "-0.1"], "lr=-0.1"),
    "a rate of NaN": ([*TRAIN, "--lr", "nan"], "lr=nan"),
    "a negative decay": ([*TRAIN, "--weight-decay", "-1"], "weight_decay=-1"),
    "all dropped": ([*TRAIN, "--dropout", "1"], "dropout 1.0"),
    "negative patience": ([*TRAIN, "--patience", "-1"], "patience=-1"),
    "a negative seed": ([*TRAIN, "--seed", "-1"], "seed=-1"),
    "a negative seed of a graph": (["info", *DATA, "--seed", "-1"], "seed=-1"),
    "a negative seed of a listing": (["listing", *DATA, "--seed", "-1"], "seed=-1"),
    "negative intervals": ([*TRAIN, "--checkpoint-every", "-1"], "--checkpoint-every -1"),
    "negative memory": ([*TRAIN, "--memory-megabytes", "-1"], "--memory-megabytes -1"),
    "no memory": ([*TRAIN, "--memory-megabytes", "0"], "--memory-megabytes 0"),
    "a memory's time without a clock": ([*TRAIN, "--memory", "sdram16"], "has no clock; try"),
    "an unknown optimiser": ([*TRAIN, "--optimiser", "lion"], "invalid choice"),
    "an unknown data set": (["train", "--data", "cora", *MODEL], "unknown data set 'cora'"),
    "half a data set": (["train", "--data", "sbm:40", *MODEL], "lacks two whole numbers"),
    "too many classes": (["train", "--data", "sbm:4,9", *MODEL], "9 classes of 4 nodes"),
    "negative nodes": (["train", "--data", "sbm:-4,1", *MODEL], "sbm:-4,1"),
    "endless nodes": (["train", "--data", "sbm:99999999999,2", *MODEL], "99999999999"),
    "no such file": (["train", "--data", "none.npz", *MODEL], "No such file"),
    "a folder for data": (["train", "--data", "folder.npz", *MODEL], "folder.npz"),
    "an unknown device": ([*TRAIN, "--device", "usb"], "unknown transport 'usb'"),
    "two configurations": ([*TRAIN, "--device", "model:odd"], "names a configuration"),
    "an unknown configuration": ([*TRAIN, "--config", "big"], "unknown configuration 'big'"),
    "a folder for a configuration": ([*TRAIN, "--config", "folder.toml"], "folder.toml"),
    "bad TOML": ([*TRAIN, "--config", "bad.toml"], "bad.toml"),
    "TOML that is no text": ([*TRAIN, "--config", "bytes.toml"], "bytes.toml"),
    "impossible sizes": ([*TRAIN, "--config", "sizes.toml"], "rows=3 is neither"),
    "an unknown size": (["info", "--config", "field.toml"], "unknown field 'pess'"),
    "a checkpoint that is there": ([*TRAIN, "--checkpoint", "good.npz"], "good.npz exists; try"),
    "no checkpoint to resume": ([*TRAIN, "--checkpoint", "new.npz", "--resume"], "cannot read"),
    "a truncated checkpoint": (
        [*TRAIN, "--checkpoint", "cut.npz", "--resume"], "cut.npz is truncated"
    ),
    "a checkpoint of another graph": (
        ["train", "--data", "sbm:41,2", *MODEL, "--checkpoint", "good.npz", "--resume"],
        "the checkpoint is of graph 'sbm:40,2'",
    ),
    "a checkpoint of other options": (
        [*TRAIN, "--checkpoint", "good.npz", "--resume", "--hidden", "5"], "hidden=16 not 5"
    ),
    "a checkpoint of other operands": (
        [*TRAIN, "--config", "wide", "--checkpoint", "good.npz", "--resume"], "has 16; try"
    ),
    "a checkpoint for other features": (
        ["infer", "--data", "sbm:40,3", *MODEL, "--checkpoint", "good.npz"],
        "takes 32 features and 'sbm:40,3' has 48",
    ),
    "a graph for a checkpoint": (
        ["infer", *DATA, *MODEL, "--checkpoint", "graph.npz"], "graph.npz is no checkpoint"
    ),
    "a checkpoint for a graph": (["train", "--data", "good.npz", *MODEL], "lacks adj_indptr"),
    "nothing to list": (["listing"], "needs a program file or --data"),
    "too much to list": (["listing", "program.npz", *DATA], "needs a program file or --data"),
    "a program for another configuration": (
        ["listing", "program.npz", "--config", "demo"], "is for configuration 0123456789abcdef"
    ),
    "a program of another version": (["listing", "old.npz"], "version 99 of the command set"),
    "no program": (["listing", "graph.npz"], "is no program"),
    "a program that is not there": (["listing", "none.npz"], "cannot read program"),
    "unwritable JSON": ([*TRAIN, "--json", "bad.toml/x.json"], "another --json path"),
    "a folder for JSON": (["info", "--json", "folder.npz"], "another --json path"),
    "a folder for a checkpoint": (
        [*TRAIN, "--checkpoint", "folder.npz", "--force"], "another --checkpoint path"
    ),
    "an unwritable checkpoint": (
        [*TRAIN, "--checkpoint", "bad.toml/x.npz"], "another --checkpoint path"
    ),
    "a name too long": ([*TRAIN, "--checkpoint", "x" * 400], "File name too long"),
    "a folder for output": ([*INFER, "--output", "folder.npz"], "another --output path"),
    "unwritable output": ([*INFER, "--output", "bad.toml/x.csv"], "another --output path"),
    "a folder for a program": (["listing", *DATA, "--save", "folder.npz"], "another --save path"),
    "weights that diverge": (
        [*TRAIN, "--checkpoint", "new.npz", "--epochs", "9", "--lr", "1e200"], "a smaller lr"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder with files to stumble over."""
    folder = tmp_path_factory.mktemp("files")
    texts = {
        "bad.toml": "pes = [", "field.toml": "pess = 3",
        "sizes.toml": "pes = 1\nlanes = 2\nrows = 3\ncolumns = 4\n",
    }  # fmt: skip
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    for name in ("folder.npz", "folder.toml"):
        (folder / name).mkdir()
    write_npz(folder / "graph.npz", GRAPH)
    program = Program.of([Load(target=0, base=0, count=1, address=0)], "0123456789abcdef")
    program.save(folder / "program.npz")
    old = Program(words=program.words, config_digest="0" * 16, isa_version=99)
    old.save(folder / "old.npz")
    return folder


@pytest.fixture(autouse=True)
def here(files, monkeypatch, capsys):
    monkeypatch.chdir(files)
    if not (files / "good.npz").exists():
        assert run(capsys, *TRAIN, "--checkpoint", "good.npz").code == 0
        data = (files / "good.npz").read_bytes()
        (files / "cut.npz").write_bytes(data[: len(data) // 2])


def is_one_line_of_advice(done, message):
    lines = done.err.splitlines()
    mistakes = [line for line in lines if line.startswith("gcnloom: error: ")]
    return (
        done.code == 2
        and done.out == ""
        and lines[-1:] == mistakes
        and message in lines[-1]
        and "; try " in lines[-1]
    )


@pytest.mark.parametrize("name", LINES)
def test_a_mistake_is_one_line_with_exit_code_2(capsys, name):
    arguments, message = LINES[name]
    done = run(capsys, *arguments)
    assert is_one_line_of_advice(done, message), done
    assert len(done.err.splitlines()) <= 4


@pytest.mark.parametrize("name", [name for name, line in LINES.items() if "path" in line[1]])
def test_files_that_cannot_be_written_are_found_before_the_work(capsys, monkeypatch, name):
    for work in ("trainer.Trainer", "inference.Inference"):
        monkeypatch.setattr(f"gcnloom.training.{work}.__init__", lambda *_: pytest.fail("worked"))
    monkeypatch.setattr("gcnloom.cli.inspect.lower_graph", lambda *_: pytest.fail("worked"))
    arguments, message = LINES[name]
    assert is_one_line_of_advice(run(capsys, *arguments), message)


@pytest.mark.parametrize("name", FILES)
def test_a_graph_file_that_cannot_be_trained_on_is_refused(capsys, files, name):
    arrays, message = FILES[name]
    write_npz(files / "wrong.npz", GRAPH, **arrays)
    done = run(capsys, "train", "--data", "wrong.npz", *MODEL, "--epochs", 1, "-q")
    assert is_one_line_of_advice(done, "")
    assert re.search(message, done.err), done.err
    assert len(done.err.splitlines()) == 1
    assert not (files / "gcnloom-wrong.npz").exists()
