# SPDX-License-Identifier: Apache-2.0
"""Batches made while the device runs: the same bits and bytes, errors and interruptions told."""

import threading
import time

import pytest

import gcnloom
from gcnloom.errors import ConfigError
from gcnloom.graphs import datasets
from gcnloom.parallel.threads import run_threads
from gcnloom.sampling.ahead import Ahead
from gcnloom.sampling.batch import BatchMaker
from gcnloom.sampling.options import Sampling
from gcnloom.sampling.trainer import MinibatchTrainer
from gcnloom.training.weights import weights_sha256
from tests.sw.host import host_options

SEED = 4
GRAPH = datasets.load("sbm:60,3", seed=SEED)
LIMIT = 60.0
"""Seconds after which something is taken to hang."""


def _trainer(device, communicator, mode, *, epochs=2, **choice):
    sampling = Sampling(
        batch=8 // communicator.size, fanout=(3, 3), kappa=2, cache=20, evaluate_every=1, **choice
    )
    options = host_options(epochs=epochs, hidden=6, dropout=0.25, seed=SEED)
    return MinibatchTrainer(GRAPH, options, device, communicator, mode=mode, sampling=sampling)


def _trained(mode, workers, **choice):
    def work(communicator):
        with gcnloom.open("model:demo") as device:
            trainer = _trainer(device, communicator, mode, **choice)
            trainer.run()
        return trainer

    return run_threads(workers, work)


@pytest.mark.parametrize("mode", ["minibatch", "cooperative"])
@pytest.mark.parametrize("workers", [1, 2])
def test_batches_made_ahead_lead_to_the_same_bits_and_bytes(mode, workers):
    found = []
    for ahead in (True, False):
        trainers = _trained(mode, workers, ahead=ahead)
        found.append(
            (
                {weights_sha256(each.weights) for each in trainers},
                trainers[0].history,
                sum((each.last.sent for each in trainers), trainers[0].last.sent.__class__()),
                [each.engine.features for each in trainers],
            )
        )
    assert found[0] == found[1]


def test_the_next_batch_is_made_while_the_device_runs(monkeypatch):
    made, making = {}, BatchMaker.make

    def make(maker, iteration):
        batch = making(maker, iteration)
        made.setdefault(iteration, threading.Event()).set()
        return batch

    monkeypatch.setattr(BatchMaker, "make", make)

    def work(communicator):
        with gcnloom.open("model:demo") as device:
            trainer = _trainer(device, communicator, "cooperative", epochs=1)
            run, last = device.run, trainer.engine.batches.per_epoch - 1

            def patient(*arguments, **named):
                following = trainer.engine.batch.iteration + 1
                if following <= last:
                    assert made.setdefault(following, threading.Event()).wait(LIMIT), following
                return run(*arguments, **named)

            monkeypatch.setattr(device, "run", patient)
            for iteration in range(last + 1):
                trainer.iterate(iteration)
            return trainer.engine

    for engine in run_threads(2, work):
        assert engine.waited >= 0 < engine.making
    assert set(made) == set(range(max(made) + 1))


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_while_a_batch_is_made_ahead_stops_all(monkeypatch, failing):
    making, trainers = BatchMaker.make, {}

    def make(maker, iteration):
        if iteration == 5 and maker.communicator.rank == failing:
            raise ConfigError("the graph is torn; try another")
        return making(maker, iteration)

    monkeypatch.setattr(BatchMaker, "make", make)

    def work(communicator):
        with gcnloom.open("model:demo") as device:
            trainers[communicator.rank] = trainer = _trainer(
                device, communicator, "cooperative", epochs=4
            )
            trainer.run()

    with pytest.raises(ConfigError, match=f"worker {failing}: the graph is torn; try another"):
        run_threads(2, work)
    whole = 5 // trainers[0].engine.batches.per_epoch
    assert len(trainers[0].checkpoint().meta["history"]) == whole
    _none_is_left()


def test_an_interruption_stops_what_is_made_ahead(monkeypatch):
    begun, join = threading.Event(), threading.Thread.join

    def interrupt(thread, timeout=None):
        if thread.name == "worker 0" and begun.is_set():
            monkeypatch.undo()
            raise KeyboardInterrupt
        join(thread, timeout)

    def work(communicator):
        with gcnloom.open("model:demo") as device:
            trainer = _trainer(device, communicator, "cooperative", epochs=5000)
            trainer.run(lambda epoch: begun.set())

    monkeypatch.setattr(threading.Thread, "join", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_threads(2, work)
    _none_is_left()


def test_an_interrupted_training_goes_on_to_the_same_bits():
    whole = _trained("minibatch", 1)[0]

    def work(communicator):
        with gcnloom.open("model:demo") as device:
            trainer = _trainer(device, communicator, "minibatch")
            per_epoch = trainer.engine.batches.per_epoch
            trainer.engine.begin(per_epoch + 1, per_epoch + 2)  # of the epoch that is lost
            trainer.run()
            return weights_sha256(trainer.weights)

    assert run_threads(1, work) == [weights_sha256(whole.weights)]


def test_work_ahead_raises_where_its_result_is_wanted():
    def work():
        raise KeyError("lost")

    ahead = Ahead(work)
    with pytest.raises(KeyError, match="lost"):
        ahead.result()


def _none_is_left():
    """Wait for what was under way; nothing hangs."""
    until = time.perf_counter() + LIMIT
    while any(thread.name == "ahead" for thread in threading.enumerate()):
        assert time.perf_counter() < until, "a thread that makes a batch is left"
        time.sleep(0.01)
