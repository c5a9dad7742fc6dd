# SPDX-License-Identifier: Apache-2.0
"""``gcnloom train`` trains, reports, keeps quiet, survives Ctrl-C and resumes."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gcnloom.cli.progress import Progress
from gcnloom.device import Device
from gcnloom.training.checkpoint import load_checkpoint
from gcnloom.training.trainer import Epoch
from gcnloom_sim import model
from gcnloom_sim.model import Model
from tests.sw.cli import MODEL, run
from tests.sw.graphs import block_model, write_npz

DATA = ["--data", "sbm:40,2", "--hidden", "4", "--lr", "0.05"]
TRAIN = ["train", *DATA, *MODEL]
HOST = [*TRAIN, "--update", "host"]
KEYS = {
    *("data", "nodes", "edges", "layers", "device", "config", "config_digest", "epochs", "seed"),
    *("loss", "accuracy", "cycles", "macs", "effective_utilisation", "saturations", "bytes"),
    *("weights_sha256", "seconds", "receptive_field"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("more", [(), ("--parallel", "gist", "--workers", 2)])
def test_steps_that_are_clipped_are_said_at_once_whatever_is_to_be_quiet(capsys, more):
    steep = ("--lr", 40, "--epochs", 12, "--checkpoint-every", 4, "-q", "--json", "-")
    done = run(capsys, *TRAIN, *more, *steep)
    said = r"gcnloom: warning: steps of epochs 1 to \d+ that did not fit .* and were clipped: \d"
    assert (done.code, bool(re.match(said, done.err))) == (0, True), done.err
    assert "; try --update host, a smaller lr" in done.err
    assert sum(done.json()["clipped_weights"].values()) > 0


def test_the_document_has_every_promised_number(capsys):
    done = run(capsys, *TRAIN, "--epochs", 4, "--json", "-", "-q")
    document = done.json()
    assert (done.code, done.err) == (0, "")
    assert document.keys() >= KEYS
    assert document["accuracy"].keys() == {"train", "val", "test"}
    assert document["cycles"] == {"total": None, "per_epoch": None}
    macs = document["macs"]
    assert macs.keys() == {"necessary", "executed", "unsampled", "per_epoch"}
    assert min(macs["executed"], macs["unsampled"]) >= macs["necessary"] > 0
    assert macs["per_epoch"]["unsampled"] > macs["per_epoch"]["necessary"] > 0
    assert document["bytes"]["read"] > document["bytes"]["written"] > 0
    assert (document["nodes"], document["epochs"], document["seed"]) == (40, 4, 0)
    assert (document["device"], document["config"]) == ("model", "odd")
    assert len(document["loss"]) == 4
    seconds = document["seconds"]
    parts = [seconds[name] for name in ("build", "device", "host")]
    assert min(parts) > 0
    assert sum(parts) == pytest.approx(seconds["total"])
    assert len(document["weights_sha256"]) == 64


@pytest.mark.sim
def test_gateware_counts_cycles_and_trains_to_the_models_weights(capsys):
    rtl = ["train", *DATA, "--device", "rtl", "--config", "smallest", "--memory-megabytes", "1"]
    there = run(capsys, *rtl, "--epochs", 2, "--json", "rtl.json", "--report")
    model = ["--config", "smallest", "--epochs", 2, "--force", "--json", "-"]
    here = run(capsys, *TRAIN, *model).json()
    document = json.loads(Path("rtl.json").read_text(encoding="utf-8"))
    assert there.code == 0
    assert document["weights_sha256"] == here["weights_sha256"]
    assert document["cycles"]["total"] > document["cycles"]["per_epoch"] > 0
    assert 0 < document["effective_utilisation"] < 1
    assert document["seconds"]["host"] > 0
    assert "logistic regression" in there.out
    assert "numbers      rtl.json" in there.out
    finished = run(capsys, *rtl, "--epochs", 2, "--resume", "--report")
    assert finished.code == 0, finished.err
    cycles_of_an_epoch = r"cycles +[\d,]+ an epoch"
    assert re.search(cycles_of_an_epoch, there.out)
    assert not re.search(cycles_of_an_epoch, finished.out)


def test_a_report_is_printed_and_progress_goes_to_the_other_stream(capsys):
    done = run(capsys, *TRAIN, "--epochs", 4, "--report")
    assert done.code == 0
    assert "GCN on the accelerator" in done.out
    assert "gcnloom-sbm-40,2.npz" in done.out
    assert "4/4" in done.err
    assert "Traceback" not in done.err


def test_without_sampling_the_weights_are_the_same_and_the_work_is_more(capsys):
    train = [*TRAIN, "--epochs", 3, "--force", "--json"]
    sampled, whole = (run(capsys, *train, "-", *more).json() for more in ([], ["--no-sampled"]))
    differing = {name for name in sampled if sampled[name] != whole[name]}
    assert differing == {"options", "macs", "bytes", "link", "seconds"}
    assert sampled["macs"]["executed"] < whole["macs"]["executed"]
    assert whole["macs"]["necessary"] == whole["macs"]["unsampled"]
    assert sampled["macs"]["unsampled"] == whole["macs"]["unsampled"]
    nodes = sampled["receptive_field"][0]
    for more, words in ([], f" % of .*; the loss sees {nodes} of 40 nodes"), (
        ["--no-sampled"], f"sampling     off: .*; the loss sees {nodes} nodes"
    ):  # fmt: skip
        assert re.search(words, run(capsys, *train, "a.json", "--report", *more).out)


def test_a_graph_larger_than_the_memory_is_streamed_to_the_same_weights(capsys, monkeypatch):
    train = [*TRAIN, "--epochs", 4, "--force", "--json", "-"]
    whole = run(capsys, *train)
    monkeypatch.setattr(model, "open_model", lambda config, **_: Model(config, 512))
    narrow = run(capsys, *train)
    assert narrow.code == 0, narrow.err
    assert narrow.json()["weights_sha256"] == whole.json()["weights_sha256"]
    said = r"larger than the device memory: streaming [\d.]+ MiB through 0.00 MiB, ([\d.]+) MiB an"
    assert float(re.findall(said, narrow.err)[0]) > 0
    assert "streaming" not in whole.err
    links = [done.json()["link"] for done in (whole, narrow)]
    assert [link["streamed"] for link in links] == [False, True]
    assert links[1]["runs"] > 2 * links[0]["runs"]


def test_quiet_prints_nothing_and_verbose_every_epoch(capsys):
    quiet = run(capsys, *TRAIN, "--epochs", 25, "-q")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    verbose = run(capsys, *TRAIN, "--epochs", 25, "-v", "--force")
    assert all(f" {epoch}/25 " in verbose.err for epoch in range(1, 26))
    plain = run(capsys, *TRAIN, "--epochs", 25, "--force")
    assert 10 <= plain.err.count("/25 ") <= 12


def test_json_on_standard_output_is_alone_there(capsys):
    done = run(capsys, *TRAIN, "--epochs", 1, "--json", "-", "--report")
    assert done.json()["baseline"]["logistic_regression"] > 0


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(capsys):
    def digest(*more):
        done = run(capsys, *TRAIN, "--epochs", 2, "--json", "-", "--force", *more)
        return done.json()["weights_sha256"]

    assert digest() == digest()
    assert digest("--seed", 1) != digest()


def test_resuming_gives_the_weights_of_an_uninterrupted_training(capsys):
    whole = run(capsys, *TRAIN, "--epochs", 6, "--json", "-", "--checkpoint", "whole.npz").json()
    run(capsys, *TRAIN, "--epochs", 2)
    resumed = run(capsys, *TRAIN, "--epochs", 6, "--resume", "--json", "-").json()
    for name in ("weights_sha256", "model_sha256", "loss", "accuracy", "epochs"):
        assert resumed[name] == whole[name]


def test_checkpoints_are_written_on_the_way(capsys, monkeypatch):
    kept = []
    for module in ("train", "start"):
        monkeypatch.setattr(
            f"gcnloom.cli.{module}.save_checkpoint",
            lambda path, checkpoint: kept.append((str(path), len(checkpoint.meta["history"]))),
        )
    run(capsys, *TRAIN, "--epochs", 5, "--checkpoint-every", 2, "--checkpoint", "a/b.npz")
    assert kept == [("a/b.npz", 2), ("a/b.npz", 4), ("a/b.npz", 5)]


def test_an_interruption_saves_and_says_how_to_continue(capsys, monkeypatch):
    real, calls = Device.run, []

    def interrupted(*arguments, **keywords):
        calls.append(1)
        if len(calls) == 15:
            raise KeyboardInterrupt
        return real(*arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(Device, "run", interrupted)
        done = run(capsys, *HOST, "--epochs", 6, "--force")
    assert (done.code, done.out) == (130, "")
    line = done.err.splitlines()[-1]
    finished = len(load_checkpoint("gcnloom-sbm-40,2.npz").meta["history"])
    assert line.startswith(f"gcnloom: interrupted after epoch {finished}; continue with: gcnloom ")
    command = shlex.split(line.partition("continue with: gcnloom ")[2])
    resumed = run(capsys, *command, "--json", "-")
    whole = run(capsys, *HOST, "--epochs", 6, "--force", "--json", "-")
    assert 0 < finished < 6
    assert resumed.json()["weights_sha256"] == whole.json()["weights_sha256"]


def test_an_interruption_before_training_is_one_line(capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("gcnloom.cli.options.datasets.load", interrupt)
    done = run(capsys, *TRAIN, "--epochs", 6, "-q")
    assert (done.code, done.err) == (130, "gcnloom: interrupted\n")


def test_a_real_interrupt_signal_leaves_a_checkpoint_that_resumes(capsys, folder):
    # So many epochs that the signal comes first; the resumed training is held to fewer.
    code = "import sys; from gcnloom.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *TRAIN, "--epochs", "5000", "-v"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    def heed() -> None:
        # A shell's background job, such as a CI's, starts its children deaf to the signal.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=heed
    ) as process:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if " 5/5000 " in line:
                process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    assert "interrupted after epoch" in lines[-1]
    assert not any("Traceback" in line for line in lines)
    finished = len(load_checkpoint("gcnloom-sbm-40,2.npz").meta["history"])
    epochs = ["--epochs", finished + 2]
    resumed = run(capsys, *TRAIN, *epochs, "--resume", "--json", "-").json()
    whole = run(capsys, *TRAIN, *epochs, "--force", "--json", "-").json()
    assert finished >= 5
    assert resumed["loss"] == whole["loss"]
    assert resumed["weights_sha256"] == whole["weights_sha256"]


def test_graphs_without_some_splits_or_classes_are_reported_on(capsys):
    graph = block_model()
    none, alike = graph.test[:0], graph.labels * 0
    for fields in ({"test_idx": none}, {"val_idx": none}, {"labels": alike}):
        data = write_npz("graph.npz", graph, **fields)
        done = run(capsys, "train", "--data", data, *MODEL, "--epochs", 2, "--report", "--force")
        assert done.code == 0, done.err
        assert "checkpoint   gcnloom-graph.npz" in done.out


class Terminal:
    """Remembers what was written, and says it is a terminal."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return True


def test_a_terminal_gets_one_line_that_is_rewritten():
    terminal = Terminal()
    progress = Progress(terminal, epochs=3)
    progress.stage("building")
    for epoch in range(1, 4):
        progress.epoch(
            Epoch(
                epoch=epoch,
                loss=1 / epoch,
                train=0.5,
                val=None,
                val_loss=None,
                cycles=10**6,
                saturations=0,
            )
        )
    assert terminal.text.count("\n") == 1
    assert terminal.text.count("\r\x1b[K") == 4
    assert "2/3  loss 0.5000  train  50.0 %  2.0 M cycles" in terminal.text
    assert terminal.text.endswith("3/3  loss 0.3333  train  50.0 %  3.0 M cycles\n")
