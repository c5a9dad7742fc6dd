# SPDX-License-Identifier: Apache-2.0
"""Proofs of the SDRAM controller, and that they notice a controller that is wrong."""

from dataclasses import replace

import pytest

from gcnloom_hw.dram.config import SdramConfig
from gcnloom_hw.dram.part import PARTS, SdramPart
from tests.hw.formal_sdram import SdramProof
from tests.hw.formal_sdram_words import AnswersProof
from tests.hw.prove import prove

# Two banks of two rows of four words.
TINY = SdramPart(
    name="tiny",
    data_bits=8,
    banks=2,
    row_bits=1,
    column_bits=3,
    latency2_ns=10.0,
    latency3_ns=7.5,
    activate_ns=20.0,
    precharge_ns=20.0,
    active_ns=40.0,
    cycle_ns=60.0,
    refresh_ns=30.0,
    interval_ns=220.0,
    write_recovery_ns=20.0,
    bank_gap_ns=20.0,
    start_ns=10.0,
    start_refreshes=1,
)


def config(name, frequency, memory_bytes):
    part = PARTS.get(name, TINY)
    return SdramConfig(part=part, clocks=part.clocks(frequency), memory_bytes=memory_bytes)


@pytest.mark.synth
@pytest.mark.parametrize(
    ("name", "frequency", "memory_bytes"),
    [("tiny", 100e6, 2), ("MT48LC16M16A2", 133e6, 16), ("EM638325", 100e6, 64)],
)
def test_every_rule_of_the_part_is_kept_for_all_time(tmp_path, name, frequency, memory_bytes):
    proof = SdramProof(config(name, frequency, memory_bytes))
    assert prove(proof, tmp_path, depth=5) == ("PASS", [])


@pytest.mark.synth
@pytest.mark.parametrize("field", ["activate", "precharge", "active", "refresh", "write_recovery"])
def test_a_controller_that_hurries_is_noticed(tmp_path, field):
    """The controller is built with a time one clock too short for the one that is proved."""
    right = config("tiny", 100e6, 2)
    short = replace(right.clocks, **{field: getattr(right.clocks, field) - 1})
    proof = SdramProof(replace(right, clocks=short), claimed=right)
    verdict, failed = prove(proof, tmp_path, depth=30, mode="bmc")
    assert verdict == "FAIL" and failed


@pytest.mark.synth
def test_answers_are_what_was_on_the_pins(tmp_path):
    proof = AnswersProof(config("tiny", 100e6, 4))
    assert prove(proof, tmp_path, depth=30, mode="bmc") == ("PASS", [])
