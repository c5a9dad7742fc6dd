# SPDX-License-Identifier: Apache-2.0
"""Sampled training from the command line: bits, bytes beside their formulae, mistakes."""

import json
import re

import pytest

import gcnloom
from gcnloom.errors import ConfigError
from gcnloom.sampling.options import Sampling
from gcnloom_sim.measure.__main__ import main as measure
from tests.sw.cli import run
from tests.sw.graphs import block_model
from tests.sw.mpi import MAIN, mpiexec

TRAIN = [
    "train",
    "--data",
    "sbm:30,2",
    "--device",
    "model",
    "--hidden",
    "4",
    "--epochs",
    "2",
    "--fanout",
    "3,3",
]

LIMIT = 300


def _train(capsys, folder, *arguments):
    path = folder / "checkpoint.npz"
    return run(capsys, *TRAIN, "-q", "--json", "-", "--checkpoint", path, *arguments)


def test_two_workers_cooperate_and_continue_what_one_began(capsys, tmp_path):
    together = ["--parallel", "cooperative", "--kappa", 3, "--cache", 9]
    one = _train(capsys, tmp_path, *together, "--workers", 1, "--batch", 8).json()
    two = _train(
        capsys, tmp_path, *together, "--workers", 2, "--batch", 4, "--force"
    ).json()  # fmt: skip
    assert two["weights_sha256"] == one["weights_sha256"]
    for numbers in two["parallel"]["bytes_per_epoch"].values():
        assert numbers["measured"] == numbers["formula"] > 0
    features = two["parallel"]["features"]
    assert 0 < features["fetched"] < features["asked"]
    assert two["parallel"]["sampling"]["kappa"] == 3
    first = [*together, "--workers", 1, "--batch", 8, "--force", "--epochs", 1]
    assert _train(capsys, tmp_path, *first).code == 0
    rest = _train(capsys, tmp_path, *together, "--workers", 2, "--batch", 4, "--resume")
    assert rest.json()["weights_sha256"] == one["weights_sha256"]


def test_processes_of_mpi_cooperate_to_the_same_bits(capsys, tmp_path):
    together = ["--parallel", "cooperative", "--batch", 4]
    threads = _train(capsys, tmp_path, *together, "--workers", 2).json()
    path = tmp_path / "mpi.json"
    with mpiexec(
        MAIN, *TRAIN, *together, "--json", path, "--checkpoint", tmp_path / "mpi.npz"
    ) as started:  # fmt: skip
        _, err = started.communicate(timeout=LIMIT)
    assert started.returncode == 0, err
    processes = json.loads(path.read_text())
    assert processes["weights_sha256"] == threads["weights_sha256"]
    for name in ("bytes_per_epoch", "features"):
        assert processes["parallel"][name] == threads["parallel"][name]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--parallel", "mop", "--kappa", "3"], "--kappa 3 is for sampled batches; try"),
        (["--kappa", "3"], "--kappa 3 is for sampled batches; try"),
        (["--fanout", "3,3"], "--fanout 3,3 is for sampled batches; try"),
        (["--parallel", "gist", "--no-ahead"], "--no-ahead is for sampled batches; try"),
        (["--parallel", "mop", "--evaluate-every", "2"], "--evaluate-every 2 is for .*; try"),
        (["--parallel", "minibatch", "--batch", "0"], "batch=0 .*; try 1"),
        (["--parallel", "minibatch", "--layers", "3"], "fanout=.* 2 layers .* 3; try"),
        (["--parallel", "minibatch", "--update", "device"], "update='device' .*; try"),
        (["--parallel", "cooperative", "--sampler", "cluster"], "clusters=50"),
    ],
)
def test_mistakes_are_one_line(capsys, tmp_path, arguments, said):
    options = [option for option in TRAIN if option not in ("--fanout", "3,3")]
    if arguments[-1] == "3" and "--layers" in arguments:
        options = TRAIN
    path = tmp_path / "checkpoint.npz"
    outcome = run(capsys, *options, "--checkpoint", path, "--workers", 1, *arguments)
    assert outcome.code == 2
    last = outcome.err.strip().splitlines()[-1]
    assert last.startswith("gcnloom: error: ")
    assert re.search(said, last), last


def test_measurements_are_kept_with_their_command(capsys, tmp_path):
    path = tmp_path / "kept.json"
    small = ["minibatch", "cooperation", "--data", "sbm:300,3", "--batch", "8"]
    assert measure([*small, "--samplers", "labor", "--json", str(path)]) == 0
    assert re.search(r"\| sbm:300,3 \| \d+ % \| labor \| 2 \| 8 \|", capsys.readouterr().out)
    assert "measure minibatch cooperation --data sbm:300,3" in path.read_text()


def test_the_estimator_fits_on_samples():
    graph = block_model()
    model = gcnloom.GCN(
        hidden=4, device="model", update="host", epochs=2, parallel="cooperative", workers=2,
        sampling=Sampling(batch=5, fanout=(3, 3)),
    )  # fmt: skip
    model.fit(graph.adjacency, graph.features, graph.labels, train=graph.train, val=graph.val)
    assert len(model.history_) == 2
    assert model.result_["parallel"]["mode"] == "cooperative"
    assert model.predict().shape == (graph.nodes,)


@pytest.mark.parametrize(("parallel", "sampling"), [("minibatch", None), ("mop", Sampling())])
def test_the_estimator_wants_a_way_to_sample_where_it_samples(parallel, sampling):
    graph = block_model()
    model = gcnloom.GCN(
        device="model", update="host", parallel=parallel, workers=1, sampling=sampling
    )
    with pytest.raises(ConfigError, match=r"sampl.*; try"):
        model.fit(graph.adjacency, graph.features, graph.labels, train=graph.train)
