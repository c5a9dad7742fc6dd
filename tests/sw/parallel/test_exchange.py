# SPDX-License-Identifier: Apache-2.0
"""Exchanges of earlier epochs meet this one's exponent; others go on in the background."""

import threading
from types import SimpleNamespace

import numpy as np

from gcnloom.parallel.exchange import Exchange
from gcnloom.parallel.pipeline import Pipeline
from gcnloom.parallel.scheme import Link, Message, Moment
from gcnloom.parallel.threads import run_threads


def _exchanged(exponents, staleness):
    """Each worker sends its number plus ten for each epoch; return what the second one reads."""

    def work(communicator):
        link = Link(
            worker=SimpleNamespace(runs=0, clipped=0), communicator=communicator,
            pipeline=Pipeline(staleness=staleness),
        )  # fmt: skip
        exchange = Exchange(link, Message(kind="rows", tensor="it"), 8, [[(1, 2)] * 2])
        found = []
        for step, exponent in enumerate(exponents):
            piece = np.array([[10 * step + communicator.rank, -100]])
            moment = Moment(step=step, shifts={}, exponents={"it": exponent})
            found.append(exchange.run([[piece, piece]], moment)[0])
        return [[piece.tolist()[0] for piece in pieces] for pieces in found], link.worker.clipped

    return run_threads(2, work)[1]


def test_what_is_older_is_requantised_to_this_epochs_exponent():
    # From exponent 0 to 2, 1 and -1: a quarter, a half rounded to even, twice and saturated.
    found, clipped = _exchanged([0, 2, 1, -1], staleness=3)
    assert [others for others, _ in found] == [[0, -100], [0, -25], [0, -50], [0, -128]]
    assert [own for _, own in found] == [[1, -100], [11, -100], [21, -100], [31, -100]]
    assert clipped == 1
    found, clipped = _exchanged([0, 0, 2, 2], staleness=1)
    assert [others for others, _ in found] == [[0, -100], [0, -100], [2, -25], [20, -100]]
    assert clipped == 0


def _slowed(connection, event):
    """Let the exchanges of a connection last until an event."""
    travel = connection.exchange

    def slowly(pieces, sizes):
        if not event.wait(20):
            raise TimeoutError("nothing was done meanwhile")
        return travel(pieces, sizes)

    connection.exchange = slowly


def test_nobody_waits_for_what_is_posted():
    def work(communicator):
        done, channel = threading.Event(), communicator.channel()
        _slowed(channel, done)
        communicator.channel = lambda: channel
        piece = np.full(1, communicator.rank)
        posted = [communicator.post("rows", [piece * step] * 2, [(1,)] * 2) for step in (1, 2)]
        total = communicator.all_reduce("sums", piece, "sum")
        assert not any(each.done() for each in posted)
        done.set()
        return [int(total[0]), *(int(each.result()[1][0]) for each in posted)]

    assert run_threads(2, work) == [[1, 1, 2]] * 2


def test_a_part_travels_while_the_next_is_made():
    """An exchange here ends only once the next part is being made."""
    making = threading.Event()

    def parts(piece):
        yield [piece, piece]
        making.set()
        yield [piece, piece]

    def work(communicator):
        channel = communicator.channel()
        for connection in (communicator, channel):
            _slowed(connection, making)
        communicator.channel = lambda: channel
        link = Link(worker=SimpleNamespace(runs=0, clipped=0), communicator=communicator)
        exchange = Exchange(link, Message(kind="rows", tensor="it"), 8, [[(1, 1)] * 2] * 2)
        moment = Moment(step=0, shifts={}, exponents={"it": 0})
        return len(exchange.run(parts(np.full((1, 1), communicator.rank)), moment))

    assert run_threads(2, work) == [2, 2]
