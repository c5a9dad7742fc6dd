# SPDX-License-Identifier: Apache-2.0
"""Emissions are cut where the rows end that count, and lose nothing."""

from dataclasses import replace

import pytest

from gcnloom.lower.builder import Output, Tensor
from gcnloom.lower.parts import parts
from gcnloom_spec.commands import Emission
from gcnloom_spec.isa import Destination

WHOLE = Emission(
    vectors=10, row=100, tensor=7, mask=1, mask_base=30, destination=Destination.OPERAND,
    destination_base=50, destination_bank=0, store=1, dropout=1, threshold=9, feature=3,
)  # fmt: skip


def output(counted):
    return Output(
        tensor=Tensor(name="hidden1", rows=200, features=3), identifier=7, counted=counted,
        outside=9,
    )  # fmt: skip


@pytest.mark.parametrize("counted", [None, 110, 500])
def test_where_all_rows_count_an_emission_stays_whole(counted):
    assert parts(output(counted), WHOLE) == [(range(10), WHOLE)]


@pytest.mark.parametrize("counted", [0, 99, 100])
def test_where_no_row_counts_an_emission_goes_by_the_other_number(counted):
    assert parts(output(counted), WHOLE) == [(range(10), replace(WHOLE, tensor=9))]


@pytest.mark.parametrize("mask", [0, 1])
@pytest.mark.parametrize("destination", [Destination.NONE, Destination.OPERAND])
def test_both_parts_lie_where_the_whole_did(mask, destination):
    whole = replace(WHOLE, mask=mask, destination=destination)
    (inside, first), (outside, second) = parts(output(104), whole)
    assert (inside, outside) == (range(4), range(4, 10))
    assert first == replace(whole, vectors=4)
    assert second == replace(
        whole, vectors=6, row=104, tensor=9, mask_base=34 if mask else 30,
        destination_base=54 if destination else 50,
    )  # fmt: skip
