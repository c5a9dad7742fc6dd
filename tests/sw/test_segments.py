# SPDX-License-Identifier: Apache-2.0
"""Programs are cut where they may be, into segments that fit and whose tokens pair up."""

import numpy as np
import pytest

from gcnloom.errors import MemoryFullError
from gcnloom.programs.crossing import without_crossing_tokens
from gcnloom.programs.dependence import insert_tokens
from gcnloom.programs.encoding import decode, encode
from gcnloom.programs.segments import NEVER, Sizes, cut, relocate
from gcnloom_spec.commands import Drain, Emission, Load, Store
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import COMMAND_BYTES, Source, Target
from tests.sw.test_dependence import random_accesses, run_freely, violations

SMALLEST = AcceleratorConfig.from_toml("smallest")
ITEMS = SMALLEST.vector.items_per_word
COMMAND_WORDS = COMMAND_BYTES // SMALLEST.memory_bytes


def sizes(most, page=1, wanted=None):
    return Sizes(config=SMALLEST, page=page, most=most, wanted=most if wanted is None else wanted)


def load(address, words):
    return Load(target=Target.OPERAND, base=0, count=words * ITEMS, address=address)


def stored(address, items):
    return [
        Store(source=Source.AGGREGATE, count=items, address=address),
        Drain(order_base=0, count=items, emission=Emission(vectors=items, store=1)),
    ]


@pytest.mark.parametrize("seed", range(12))
def test_segments_run_freely_keep_conflicting_pairs_in_program_order(seed):
    rng = np.random.default_rng(seed)
    commands, accesses = random_accesses(rng, 60)
    starts = np.unique([0, *rng.integers(1, 60, 4)])
    words = encode(insert_tokens(commands, accesses))
    ordered = decode(without_crossing_tokens(words, starts))
    for low, high in zip(starts, [*starts[1:], 60], strict=True):
        for _ in range(5):
            part, touched = ordered[low:high], accesses[low:high]
            start, end, _ = run_freely(part, rng)
            assert not violations(part, touched, start, end)


def test_tokens_without_a_partner_stay_for_the_device_to_complain_of():
    lost = Load(target=0, base=0, count=1, address=0, waits=2, signals=4)
    words = encode([lost, lost])
    assert np.array_equal(without_crossing_tokens(words, np.array([0, 1])), words)


def test_a_segment_ends_where_the_next_step_would_not_fit():
    # Eight words of data and those of the command for each load; 40 words hold two of them.
    commands = [load(address, 8) for address in (0, 8, 16, 0, 16)]
    each = 8 + COMMAND_WORDS
    segments = cut(commands, sizes(most=2 * each))
    assert [segment.commands for segment in segments] == [range(2), range(2, 4), range(4, 5)]
    assert [segment.spans for segment in segments] == [
        (range(8), range(8, 16)), (range(8), range(16, 24)), (range(16, 24),),
    ]  # fmt: skip
    following = [segment.following.tolist() for segment in segments]
    assert following == [[1] * 8 + [NEVER] * 8, [NEVER] * 8 + [2] * 8, [NEVER] * 8]
    wanted = cut(commands, sizes(most=2 * each, wanted=1))
    assert [segment.commands for segment in wanted] == [range(i, i + 1) for i in range(5)]


def test_a_store_and_what_it_takes_are_never_cut_apart():
    commands = [*stored(0, 8), *stored(8, 8), load(0, 2)]
    segments = cut(commands, sizes(most=100, wanted=1))
    assert [segment.commands for segment in segments] == [range(2), range(2, 4), range(4, 5)]


def test_what_is_overwritten_first_is_not_fetched_but_for_a_word_filled_in_part():
    commands = [*stored(4, 2 * ITEMS + 1), load(4, 3), load(2, 3), load(20, 2)]
    (segment,) = cut(commands, sizes(most=1000))
    assert segment.spans == (range(2, 7), range(20, 22))
    assert segment.pages[segment.fetched].tolist() == [2, 3, 6, 20, 21]
    assert segment.pages[segment.written].tolist() == [4, 5, 6]
    # A page of four words is overwritten as a whole only if all of them are.
    paged = [*stored(2, 6 * ITEMS), *stored(8, 3 * ITEMS)]
    (segment,) = cut(paged, sizes(most=1000, page=4))
    assert segment.pages[segment.fetched].tolist() == [0, 2]
    assert segment.pages[segment.written].tolist() == [0, 1, 2]


def test_addresses_point_to_where_their_span_lies():
    commands = [load(10, 4), load(12, 4), *stored(41, 2)]
    words = encode(commands)
    relocate(words, [range(2, 4), range(10, 11)], np.array([7, 0]), 4)
    assert [command.address for command in decode(words) if hasattr(command, "address")] == [
        10 + 20, 12 + 20, 1,
    ]  # fmt: skip


def test_a_step_that_does_not_fit_is_named_with_what_would():
    commands = [load(0, 2), *stored(0, 20), load(0, 2)]
    need = 20 // ITEMS + 2 * COMMAND_WORDS
    assert len(cut(commands, sizes(most=need))) == 3
    with pytest.raises(MemoryFullError) as caught:
        cut(commands, sizes(most=need - 1))
    size = SMALLEST.memory_bytes
    assert f"commands 1..2 need {need * size:,} bytes of device memory at once" in str(caught.value)
    assert caught.value.remedy == "a device with at least 1 MiB"
