# SPDX-License-Identifier: Apache-2.0
"""Training in parallel from the command line, from Python, and as processes of MPI."""

import json
import signal
import time

import numpy as np
import pytest

import gcnloom
from gcnloom.errors import ConfigError
from gcnloom.training.checkpoint import load_checkpoint
from tests.sw.cli import MODEL, run
from tests.sw.graphs import block_model
from tests.sw.mpi import MAIN, mpiexec

TRAIN = ["train", "--data", "sbm:30,2", *MODEL, "--hidden", "4", "--epochs", "3"]
LIMIT = 300
SOON = 10
"""Seconds within which all stop when one does."""


def _sha(outcome):
    document = outcome.json()
    return document["weights_sha256"], document["model_sha256"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("parallel")


def _train(capsys, folder, *arguments):
    path = folder / "checkpoint.npz"
    return run(capsys, *TRAIN, "-q", "--json", "-", "--checkpoint", path, *arguments)


def test_the_command_line_trains_in_parallel_to_the_same_bits(capsys, folder):
    expected = _sha(_train(capsys, folder, "--force", "--update", "host"))
    for mode in ("mop", "partition"):
        outcome = _train(capsys, folder, "--force", "--parallel", mode, "--workers", 2)
        assert _sha(outcome) == expected
        parallel = outcome.json()["parallel"]
        assert (parallel["mode"], parallel["workers"]) == (mode, 2)
        assert parallel["bytes_per_epoch"]["weights"]["measured"] > 0


def test_a_checkpoint_is_continued_by_any_number_of_workers(capsys, folder):
    expected = _sha(_train(capsys, folder, "--force", "--update", "host"))
    path = folder / "part.npz"
    first = ["-q", "--epochs", 1, "--parallel", "mop", "--workers", 3, "--checkpoint", path]
    assert run(capsys, *TRAIN, *first).code == 0
    more = ["-q", "--json", "-", "--parallel", "partition", "--workers", 2, "--checkpoint", path]
    assert _sha(run(capsys, *TRAIN, *more, "--resume")) == expected


def test_a_stale_training_is_continued_from_the_command_line(capsys, folder):
    stale = ["--parallel", "partition", "--workers", 2, "--staleness", 1]
    expected = _train(capsys, folder, "--force", *stale)
    assert expected.json()["parallel"]["staleness"]["allowed"] == 1
    path = ["--checkpoint", folder / "stale.npz"]
    assert run(capsys, *TRAIN, "-q", *stale, *path, "--epochs", 2).code == 0
    refused = run(capsys, *TRAIN, "-q", *path, "--resume", "--update", "host")
    assert refused.code == 2
    assert "with stale rows; try its --parallel" in refused.err
    resumed = run(capsys, *TRAIN, "-q", "--json", "-", *stale, *path, "--resume")
    assert _sha(resumed) == _sha(expected)


def test_the_report_has_bytes_beside_their_formula(capsys, folder):
    arguments = ["--parallel", "mop", "--workers", 2, "--checkpoint", folder / "report.npz"]
    out = run(capsys, *TRAIN, *arguments).out
    assert "parallel     mop, 2 workers; bytes of the last epoch" in out
    weights = next(line for line in out.splitlines() if line.startswith("  weights"))
    measured, formula = weights.replace(",", "").split()[1:]
    assert float(measured) == float(formula) > 0
    assert "largest/mean bytes 1.0" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--parallel", "mop"], "try --workers 2, or mpiexec -n 2"),
        (["--workers", "2"], "--workers 2 is for training in parallel; try --parallel mop"),
        (["--staleness", "1"], "staleness=1 is for exchanges that every epoch repeats"),
        (["--parallel", "gist", "--workers", "2", "--chunks", "2"], "try parallel='mop' or"),
        (["--parallel", "mop", "--workers", "31"], "workers=31 is outside 1..30"),
        (["--parallel", "mop", "--workers", "2", "--update", "device"], "try update='host'"),
        (
            ["--parallel", "partition", "--workers", "2", "--rounding", "stochastic"],
            "try rounding='nearest', or parallel='mop'",
        ),
    ],
)
def test_mistakes_are_one_line(capsys, folder, arguments, said):
    outcome = _train(capsys, folder, "--force", *arguments)
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


def test_the_estimator_fits_in_parallel():
    graph = block_model(30, 2)
    parts = graph.adjacency, graph.features, graph.labels
    shared = {"hidden": 4, "epochs": 2, "update": "host", "memory_megabytes": 8}
    told = []
    alone, several = (
        gcnloom.GCN(device=device, **shared, **ways).fit(
            *parts, train=graph.train, val=graph.val, progress=told.append
        )
        for device, ways in (
            ("model:odd", {}),
            ("model:demo,model:smallest", {"parallel": "mop", "workers": 2}),
        )
    )
    assert all(map(np.array_equal, alone.weights_, several.weights_))
    assert np.array_equal(alone.predict(), several.predict())
    assert several.result_["parallel"]["workers"] == 2
    assert [epoch.epoch for epoch in told] == [1, 2, 1, 2]
    stale = gcnloom.GCN(
        device="model:odd", parallel="mop", workers=2, staleness=1, chunks=2, **shared
    ).fit(*parts, train=graph.train, val=graph.val)
    assert stale.result_["parallel"]["staleness"]["exchanges"].keys() == {"0", "1"}
    with pytest.raises(ConfigError, match="try parallel='mop'"):
        gcnloom.GCN(workers=2)
    with pytest.raises(ConfigError, match="staleness=1 is for exchanges"):
        gcnloom.GCN(staleness=1)
    with gcnloom.open("model:odd", memory_megabytes=8) as device:
        with pytest.raises(ConfigError, match="cannot be several workers'"):
            gcnloom.GCN(device=device, parallel="mop", workers=2)


@pytest.mark.parametrize("more", [[], ["--staleness", 1, "--chunks", 2]])
def test_processes_of_mpi_train_to_the_same_bits(capsys, folder, more):
    expected = _train(capsys, folder, "--force", "--parallel", "mop", "--workers", 2, *more)
    path = folder / "mpi.json"
    arguments = [*TRAIN, "--parallel", "mop", "--json", path, "--checkpoint", folder / "mpi.npz"]
    arguments += ["--force", *more]
    with mpiexec(MAIN, *arguments) as started:
        out, err = started.communicate(timeout=LIMIT)
    assert started.returncode == 0, err
    document = json.loads(path.read_text())
    assert (document["weights_sha256"], document["model_sha256"]) == _sha(expected)
    assert document["parallel"] == expected.json()["parallel"]
    assert out.count("accuracy  ") == 1


def test_an_interruption_under_mpi_leaves_a_checkpoint(capsys, folder):
    path = folder / "interrupted.npz"
    arguments = [*TRAIN, "--parallel", "mop", "--checkpoint", path, "-v", "--epochs", 5000]
    with mpiexec(MAIN, *arguments) as started:
        for line in started.stderr:
            if " 5/5000 " in line:
                started.send_signal(signal.SIGINT)
        assert started.wait(LIMIT) != 0
    done = len(load_checkpoint(path).meta["history"])
    assert done >= 5
    last = ["--epochs", done + 1]
    resume = [*last, "--parallel", "mop", "--workers", 3, "--resume", "--checkpoint", path]
    resumed = run(capsys, *TRAIN, "-q", "--json", "-", *resume)
    assert _sha(resumed) == _sha(_train(capsys, folder, "--force", "--update", "host", *last))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("raise gcnloom.LoomError('wires are crossed')", "error: worker 1: wires are crossed"),
        (f"os.kill(os.getpid(), {signal.SIGKILL.value})", "Killed"),
    ],
)
def test_a_process_that_stops_ends_all(fault, said, tmp_path):
    stopped = tmp_path / "stopped"
    code = f"""
import os, pathlib, sys, gcnloom
from gcnloom.parallel.launch import run_workers
def work(communicator):
    communicator.barrier()
    if communicator.rank == 1:
        pathlib.Path(sys.argv[1]).touch()
        {fault}
    communicator.barrier()
run_workers(None, work)
"""
    with mpiexec(code, stopped) as started:
        out, err = started.communicate(timeout=LIMIT)
    assert started.returncode != 0
    assert said in out + err
    assert time.time() - stopped.stat().st_mtime < SOON
