# SPDX-License-Identifier: Apache-2.0
"""Training by sub-networks from the command line, from Python, and as processes of MPI."""

import json

import numpy as np
import pytest

import gcnloom
from gcnloom.errors import ConfigError, LoomError
from gcnloom.parallel.gist import GistTrainer
from gcnloom.training.checkpoint import load_checkpoint
from gcnloom.training.options import Options
from tests.sw.cli import MODEL, run
from tests.sw.graphs import block_model
from tests.sw.mpi import MAIN, mpiexec
from tests.sw.parallel.gist import train_gist

TRAIN = ["train", "--data", "sbm:16,2", *MODEL, "--hidden", "4", "--parallel", "gist"]
ROUNDS = ["--epochs", "8", "--local-iterations", "2"]
TWO = ["--workers", "2"]
LIMIT = 300
"""Seconds within which processes end."""


def _train(capsys, path, *arguments):
    return run(capsys, *TRAIN, *ROUNDS, "-q", "--json", "-", "--checkpoint", path, *arguments)


def _sha(outcome):
    document = outcome.json()
    return document["weights_sha256"], document["model_sha256"]


def test_the_document_has_rounds_and_bytes_beside_their_formula(capsys, tmp_path):
    document = _train(capsys, tmp_path / "c.npz", *TWO, "--evaluate-every", 1).json()
    parallel = document["parallel"]
    assert (parallel["mode"], parallel["workers"]) == ("gist", 2)
    assert (parallel["rounds"], parallel["local_iterations"]) == (2, 2)
    for kind in ("scatter", "gather"):
        moved = parallel["bytes_per_round"][kind]
        # Half of the weights, of 8 bytes each, go to the other worker and come back.
        features = document["features"]
        assert moved["measured"] == moved["formula"] == 8 * (features * 2 + 2 * 2)
    assert len(parallel["per_worker"]["bytes"]) == 2
    assert document["epochs"] == len(document["loss"]) == 4
    assert [value is not None for value in document["validation"]] == [False, True, False, True]
    assert document["options"]["update"] == "device"


def test_the_report_names_rounds(capsys, tmp_path):
    out = run(capsys, *TRAIN, *ROUNDS, *TWO, "--checkpoint", tmp_path / "c.npz").out
    assert "parallel     gist, 2 workers, 2 rounds of 2 epochs each; bytes of a round" in out
    assert "largest/mean bytes" in out


def test_a_training_that_lost_a_round_is_continued_to_the_same_bits(capsys, tmp_path, monkeypatch):
    whole = _sha(_train(capsys, tmp_path / "whole.npz", *TWO))
    path, done = tmp_path / "part.npz", GistTrainer._round

    def stops(trainer):
        # The others may begin a round before the first worker has ended the one before.
        if trainer.done == 1 and trainer.communicator.rank == 0:
            raise KeyboardInterrupt
        return done(trainer)

    monkeypatch.setattr(GistTrainer, "_round", stops)
    cut = _train(capsys, path, *TWO)
    monkeypatch.undo()
    assert cut.code == 130
    assert "interrupted after epoch 2; continue with: gcnloom train" in cut.err
    assert load_checkpoint(path).meta["gist"]["done"] == 1
    assert _sha(_train(capsys, path, *TWO, "--resume")) == whole


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "try --workers 2, or mpiexec -n 2"),
        (["--workers", "5"], "workers=5 are more than the 4 neurons of a hidden layer"),
        (["--workers", "4", "--epochs", "3"], "epochs=3 divided among workers=4 leave none"),
        ([*TWO, "--local-iterations", "0"], "local_iterations=0 is no number from 1 on; try 1"),
        ([*TWO, "--evaluate-every", "9"], "evaluate_every=9 is more than the 2 rounds; try 2"),
        ([*TWO, "--validate-every", "2"], "validate_every=2 counts epochs of one training"),
        ([*TWO, "--model", "sage"], "model='sage', residual=False trains on one device"),
        ([*TWO, "--batch", "4"], "--batch 4 is for sampled batches; try --parallel minibatch"),
    ],
)
def test_mistakes_are_one_line(capsys, tmp_path, arguments, said):
    outcome = _train(capsys, tmp_path / "c.npz", *arguments)
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


def test_rounds_are_for_sub_networks_alone(capsys, tmp_path):
    outcome = _train(capsys, tmp_path / "c.npz", *TWO, "--parallel", "mop")
    assert outcome.code == 2
    assert (
        "--local-iterations 2 is for training by sub-networks; try --parallel gist" in outcome.err
    )


def test_processes_of_mpi_train_to_the_same_bits(capsys, tmp_path):
    expected = _train(capsys, tmp_path / "threads.npz", *TWO)
    path = tmp_path / "mpi.json"
    arguments = [*TRAIN, *ROUNDS, "--json", path, "--checkpoint", tmp_path / "mpi.npz"]
    with mpiexec(MAIN, *arguments) as started:
        out, err = started.communicate(timeout=LIMIT)
    assert started.returncode == 0, err
    document = json.loads(path.read_text())
    assert (document["weights_sha256"], document["model_sha256"]) == _sha(expected)
    assert document["parallel"] == expected.json()["parallel"]
    assert out.count("accuracy  ") == 1


def test_the_estimator_fits_by_sub_networks(tmp_path):
    graph = block_model(30, 2)
    parts = graph.adjacency, graph.features, graph.labels
    shared = {"hidden": 4, "epochs": 8, "device": "model:odd", "memory_megabytes": 8, "seed": 3}
    rounds = {"workers": 2, "local_iterations": 2, "evaluate_every": 2}
    told = []
    fitted = gcnloom.GCN(parallel="gist", **shared, **rounds).fit(
        *parts, train=graph.train, val=graph.val, progress=told.append
    )
    expected = train_gist(
        graph, Options(hidden=4, epochs=8, seed=3), 2, local_iterations=2, evaluate_every=2
    ).trainer
    assert all(map(np.array_equal, fitted.weights_, expected.best))
    assert fitted.weights_[0].shape == (graph.features.shape[1], 4)
    assert [epoch.val is not None for epoch in told] == [False, False, False, True]
    assert fitted.result_["parallel"]["rounds"] == 2
    assert fitted.predict().shape == (30,)
    fitted.save(tmp_path / "c.npz")
    again = gcnloom.GCN(parallel="gist", **shared, **rounds).fit(
        *parts, train=graph.train, val=graph.val, resume=tmp_path / "c.npz"
    )
    assert all(map(np.array_equal, again.weights_, fitted.weights_))


def test_the_estimator_refuses_rounds_of_other_modes():
    with pytest.raises(ConfigError, match=r"'local_iterations': 2}.* try parallel='gist'"):
        gcnloom.GCN(local_iterations=2)
    with pytest.raises(ConfigError, match=r"'evaluate_every': 0}.* try parallel='gist'"):
        gcnloom.GCN(parallel="mop", update="host", workers=2, evaluate_every=0)


def test_only_the_first_process_predicts():
    """Another one of MPI's has no weights, and its checkpoint none."""
    graph = block_model(30, 2)
    model = gcnloom.GCN(
        4, device="model:odd", memory_megabytes=8, parallel="gist", workers=2, epochs=2
    ).fit(graph.adjacency, graph.features, graph.labels, train=graph.train)
    for name in [name for name in model._checkpoint.arrays if name.startswith("model")]:
        del model._checkpoint.arrays[name]
    with pytest.raises(LoomError, match="the weights are the first process's; try to predict"):
        model.predict()
