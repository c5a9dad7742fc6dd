# SPDX-License-Identifier: Apache-2.0
"""Modelled time, time to accuracy and winners, by hand."""

import pytest

from gcnloom.study.figures import Figures
from gcnloom.study.forecast import contests, guessed, right
from gcnloom.study.links import Link, epoch_seconds
from tests.sw.study.matrix import figures, run

LINK = Link(name="link", bandwidth=100.0, latency=0.25)
NUMBERS = {
    "cycles": [0, 0], "beats": [300, 500], "messages": [4, 2], "bytes": [100, 300],
    "fetched_bytes": [250, 0],
}  # fmt: skip


def test_an_epoch_is_the_busiest_worker_of_each_kind():
    # 500 beats at 1 kHz, 4 messages, and worker 0's 350 bytes.
    assert epoch_seconds(NUMBERS, LINK, 1000.0) == pytest.approx(0.5 + 1.0 + 3.5)


def test_measured_cycles_go_before_beats():
    clocked = NUMBERS | {"cycles": [700, 800]}
    assert epoch_seconds(clocked, LINK, 1000.0) == pytest.approx(0.8 + 1.0 + 3.5)


def test_time_to_accuracy_is_epochs_until_the_first_modes_share_times_an_epoch():
    single = run(10, parallel="single", workers=1, validation=(0.2, 0.7, 0.8))
    late = run(4, moved=1.0, validation=(0.1, 0.2, 0.3), accuracy=0.8)
    never = run(4, parallel="partition", validation=(0.1, 0.2, 0.3), accuracy=0.5)
    made = figures(single, late, never, target=0.75)
    link = made.study.links[0]
    # 0.75 of 0.8 is 0.6: seen before the second epoch when the device's weights are looked at
    # as epochs end, which is where --update is not the host.
    assert [made.epochs_to_accuracy(each) for each in (single, late, never)] == [2, 3, None]
    assert made.time_to_accuracy(single, link) == 20
    assert made.time_to_accuracy(late, link) == 15
    assert made.time_to_accuracy(never, link) is None


def test_with_the_hosts_update_an_epoch_looks_at_what_it_begins_with():
    options = (("update", "host"),)
    single = run(1, parallel="single", workers=1, validation=(0.2, 0.7, 0.8), options=options)
    parts = run(1, parallel="gist", validation=(0.2, 0.7, 0.8), options=options)
    made = figures(single, parts, target=0.75)
    assert [made.epochs_to_accuracy(each) for each in (single, parts)] == [1, 2]


def test_a_contest_is_right_where_the_foretold_mode_is_the_fastest():
    single = run(9, parallel="single", workers=1)
    found = []
    for foretold in (1, 8):
        made = figures(single, run(4, foretold=foretold), run(3, foretold=5, parallel="partition"))
        found += contests(made, to_accuracy=False)
    assert [(each.foretold, each.measured) for each in found] == [
        ("mop", "partition"), ("partition", "partition"),
    ]  # fmt: skip
    assert found[0].loss == pytest.approx(4 / 3)
    assert (right(found), guessed(found)) == (1, 2)


def test_two_modes_are_no_contest():
    made = figures(run(9, parallel="single", workers=1), run(4))
    assert isinstance(made, Figures)
    assert contests(made, to_accuracy=False) == []
