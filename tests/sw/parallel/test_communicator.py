# SPDX-License-Identifier: Apache-2.0
"""Exchanges arrive, are counted, reduce exactly, and end when a worker does."""

import threading
import time

import numpy as np
import pytest

from gcnloom.errors import ConfigError
from gcnloom.parallel.communicator import COMBINES, Alone, WorkerError
from gcnloom.parallel.costs import all_reduce_bytes
from gcnloom.parallel.launch import device_of, run_workers
from gcnloom.parallel.threads import run_threads

SIZES = (1, 2, 3, 5)


@pytest.mark.parametrize("size", SIZES)
def test_every_piece_arrives_where_it_was_sent(size):
    def work(communicator):
        rank = communicator.rank
        pieces = [np.full((rank, 2), 10 * rank + to, np.int16) for to in range(size)]
        shapes = [(sender, 2) for sender in range(size)]
        received = communicator.all_to_all("blocks", pieces, shapes)
        return received, communicator.sent["blocks"], communicator.messages["blocks"]

    for rank, (received, sent, messages) in enumerate(run_threads(size, work)):
        for sender, piece in enumerate(received):
            assert piece.dtype == np.int16
            assert np.array_equal(piece, np.full((sender, 2), 10 * sender + rank))
        assert sent == rank * 4 * (size - 1)
        assert messages == (size - 1 if rank else 0)


@pytest.mark.parametrize("combine", COMBINES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", [(1,), (3, 4), (0,)])
def test_reductions_are_exact_and_cost_what_the_formula_says(size, shape, combine):
    rng = np.random.default_rng(size)
    arrays = rng.integers(-(2**40), 2**40, (size, *shape))

    def work(communicator):
        reduced = communicator.all_reduce("sums", arrays[communicator.rank], combine)
        return reduced, communicator.sent["sums"]

    done = run_threads(size, work)
    expected = COMBINES[combine].reduce(arrays, axis=0)
    assert all(np.array_equal(reduced, expected) for reduced, _ in done)
    elements = int(np.prod(shape))
    assert sum(sent for _, sent in done) == all_reduce_bytes(elements, 8, size)


def test_alone_there_is_nobody_to_send_to():
    alone = Alone()
    assert alone.all_reduce("sums", np.arange(3), "sum").tolist() == [0, 1, 2]
    alone.barrier()
    alone.fail(ValueError("nobody hears it"))
    assert not alone.sent["sums"]


def test_a_worker_that_raises_stops_all_at_once():
    stopped = []

    def work(communicator):
        if communicator.rank == 1:
            raise ConfigError("wires are crossed; try others")
        try:
            communicator.barrier()
        except WorkerError as error:
            stopped.append(str(error))
            raise

    begin, threads = time.perf_counter(), threading.active_count()
    with pytest.raises(ConfigError, match="worker 1: wires are crossed; try others"):
        run_threads(4, work)
    assert time.perf_counter() - begin < 5
    assert stopped == ["worker 1 stopped (wires are crossed; try others)"] * 3
    assert threading.active_count() == threads


def test_a_worker_that_does_not_come_is_not_waited_for():
    released = threading.Event()

    def work(communicator):
        if communicator.rank:
            released.wait(5)
        else:
            try:
                communicator.barrier()
            finally:
                released.set()

    with pytest.raises(WorkerError, match=r"did not come to an exchange within 0\.2 s"):
        run_threads(2, work, timeout=0.2)


def test_a_channel_does_not_wait_for_the_other_and_counts_its_own_bytes():
    mine = np.arange(3)

    def work(communicator):
        channel = communicator.channel()
        reduced = []
        thread = threading.Thread(
            target=lambda: reduced.append(channel.all_reduce("ids", mine, "sum"))
        )
        # One worker is late with the one, the other with the other.
        if communicator.rank:
            thread.start()
            thread.join()
            communicator.barrier()
        else:
            thread.start()
            communicator.barrier()
            thread.join()
        assert (communicator.sent["ids"], channel.sent["ids"]) == (0, 24)
        return reduced[0]

    for reduced in run_threads(2, work):
        assert reduced.tolist() == [0, 2, 4]


def test_a_worker_that_raises_ends_channels_too():
    waiting = threading.Event()

    def work(communicator):
        first, second = communicator.channel(), communicator.channel()
        first.barrier()
        if communicator.rank:
            waiting.wait(5)
            raise ConfigError("wires are crossed; try others")
        waiting.set()
        with pytest.raises(WorkerError, match="worker 1 stopped"):
            second.barrier()

    with pytest.raises(ConfigError, match="worker 1: wires are crossed"):
        run_threads(2, work)


def test_a_piece_of_another_size_is_told():
    def work(communicator):
        mine = np.zeros(2 + communicator.rank, np.int8)
        communicator.all_gather("pieces", mine, [(2,), (2,)])

    with pytest.raises(WorkerError, match=r"worker 1 sent 3 bytes to worker \d, which"):
        run_threads(2, work)


def test_an_interruption_stops_the_workers(monkeypatch):
    def join(thread, timeout=None):
        monkeypatch.undo()
        raise KeyboardInterrupt

    def work(communicator):
        while True:
            communicator.barrier()

    monkeypatch.setattr(threading.Thread, "join", join)
    with pytest.raises(KeyboardInterrupt):
        run_threads(2, work)


def test_the_number_of_workers_is_asked_for():
    with pytest.raises(ConfigError, match="try --workers 2, or mpiexec -n 2"):
        run_workers(None, lambda communicator: None)
    with pytest.raises(ConfigError, match="workers=0 is not positive"):
        run_workers(0, lambda communicator: None)


def test_devices_are_one_for_all_or_one_for_each():
    assert [device_of("model", rank, 2) for rank in (0, 1)] == ["model", "model"]
    assert [device_of("model,rtl", rank, 2) for rank in (0, 1)] == ["model", "rtl"]
    with pytest.raises(ConfigError, match="names 2 devices for 3 workers"):
        device_of("model,rtl", 0, 3)
