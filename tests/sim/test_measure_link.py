# SPDX-License-Identifier: Apache-2.0
"""The link carries nearly what its bits allow, and the count of its faults is honest."""

import math

import pytest

from gcnloom_sim.link_channel import KINDS
from gcnloom_sim.link_device import LinkDevice
from gcnloom_sim.measure.link import BULK, efficiencies, survive
from gcnloom_spec.link import Request


@pytest.mark.parametrize("payload", [256, 512, 1024])
def test_little_of_the_line_is_not_payload(payload):
    """A frame has a flag and a check, its header, and two of 256 bytes twice."""
    (row,) = efficiencies("odd", [payload])
    for efficiency, header in ((row.write, 9), (row.read, 4)):
        stuffing = 1 + 2 / 256
        expected = row.payload_bytes / (1 + stuffing * (header + 4 + row.payload_bytes))
        # Answers share no flags here.
        assert expected - 0.005 < efficiency < expected + 0.005
        assert efficiency >= 0.92
    line = BULK / 300_000
    assert row.seconds > line * (1 / row.write + 1 / row.read)
    assert math.isclose(row.seconds, line * (1 / row.write + 1 / row.read), rel_tol=0.08)


@pytest.fixture(scope="module")
def survival():
    return survive("odd", 4000, 5, lambda _: None)


def test_thousands_of_faults_change_no_bit(survival):
    assert survival.wrong == 0
    assert survival.faults.total() >= 4000
    assert set(survival.faults) == set(KINDS)
    assert survival.trainings == survival.links - survival.errors.total()
    assert survival.transfers > 20
    assert survival.tally.resent > 300
    assert survival.tally.reopened > 5


def test_a_wrong_bit_would_be_counted(monkeypatch):
    read = LinkDevice._read_memory

    def lying(device, address, count, payload):
        lie = device.executed[Request.READ_MEMORY] in range(20, 60, 4)
        outcome, answer = read(device, address, count, payload)
        return outcome, bytes(byte ^ lie for byte in answer)

    monkeypatch.setattr(LinkDevice, "_read_memory", lying)
    assert survive("odd", 800, 5, lambda _: None).wrong > 0
