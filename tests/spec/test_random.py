# SPDX-License-Identifier: Apache-2.0
"""Randomness: the published cipher, even bytes, and the same bits however they are asked for."""

import numpy as np
import pytest

from gcnloom_spec.random import BLOCK_FEATURES, DROPOUT, ROUNDING, draw, threefry


def _words(*values):
    return np.array(values, dtype=np.uint32)


def _threefry(key, counter, rounds=13):
    """Threefry-2x32 in Python's integers, from the paper: inject a key every four rounds."""
    bits = 2**32
    keys = [*key, key[0] ^ key[1] ^ 0x1BD11BDA]
    x, y = ((c + k) % bits for c, k in zip(counter, key, strict=True))
    for index in range(rounds):
        turn = (13, 15, 26, 6, 17, 29, 16, 24)[index % 8]
        x = (x + y) % bits
        y = ((y << turn | y >> (32 - turn)) % bits) ^ x
        if (index + 1) % 4 == 0:
            group = (index + 1) // 4
            x = (x + keys[group % 3]) % bits
            y = (y + keys[(group + 1) % 3] + group) % bits
    return x, y


def test_reference_gives_the_published_answers_for_twenty_rounds():
    assert _threefry((0, 0), (0, 0), 20) == (0x6B200159, 0x99BA4EFE)
    ones = 0xFFFFFFFF
    assert _threefry((ones, ones), (ones, ones), 20) == (0x1CB996FC, 0xBB002BE7)
    assert _threefry((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), 20) == (
        0xC4923A9C,
        0x483DF7A0,
    )


def test_threefry_gives_the_known_answer_for_thirteen_rounds():
    x, y = threefry((0, 0), (_words(0), _words(0)))
    assert (int(x[0]), int(y[0])) == (0x9D1C5EC6, 0x8BD50731)


def test_threefry_equals_the_reference_for_any_key_and_counter():
    rng = np.random.default_rng(11)
    for _ in range(50):
        key = tuple(int(k) for k in rng.integers(0, 2**32, 2))
        counter = rng.integers(0, 2**32, (2, 4), dtype=np.uint32)
        x, y = threefry(key, (counter[0], counter[1]))
        expected = [_threefry(key, (int(a), int(b))) for a, b in counter.T]
        assert list(zip(x.tolist(), y.tolist(), strict=True)) == expected


def test_draw_reads_the_documented_byte_of_the_documented_block():
    rows = np.array([0, 5, 70000])
    bytes_ = draw(seed=7, step=9, tensor=33, purpose=ROUNDING, rows=rows, feature=3, count=30)
    assert bytes_.shape == (3, 30)
    for i, row in enumerate(rows.tolist()):
        for j in range(30):
            block, byte = divmod(3 + j, BLOCK_FEATURES)
            x, y = _threefry((7, 9), (row, ROUNDING << 31 | 33 << 16 | block))
            assert bytes_[i, j] == (x | y << 32) >> (8 * byte) & 0xFF


def test_draw_is_the_same_in_other_pieces():
    def ask(rows, feature, count):
        return draw(
            seed=1, step=2, tensor=3, purpose=DROPOUT, rows=rows, feature=feature, count=count
        )

    whole = ask(np.arange(40), 0, 50)
    order = np.random.default_rng(0).permutation(40)
    for low, high in ((0, 1), (1, 8), (8, 19), (19, 50)):
        assert np.array_equal(ask(order, low, high - low), whole[order, low:high])


@pytest.mark.parametrize("changed", ["seed", "step", "tensor", "purpose"])
def test_every_part_of_the_name_changes_the_bits(changed):
    names = {"seed": 4, "step": 0, "tensor": 1, "purpose": DROPOUT}
    ask = {"rows": np.arange(200), "feature": 0, "count": 32}
    first = draw(**names, **ask)
    second = draw(**(names | {changed: names[changed] ^ 1}), **ask)
    # Two independent bytes agree once in 256: 25 of 6400 expected, standard deviation 5.
    assert np.count_nonzero(first == second) < 25 + 6 * 5


@pytest.mark.parametrize("purpose", [DROPOUT, ROUNDING])
def test_bytes_are_even_and_neighbours_uncorrelated(purpose):
    rows = np.arange(2000)
    bytes_ = draw(seed=3, step=8, tensor=5, purpose=purpose, rows=rows, feature=0, count=64)
    counts = np.bincount(bytes_.ravel(), minlength=256)
    expected = bytes_.size / 256
    chi_squared = float(((counts - expected) ** 2 / expected).sum())
    # 255 degrees of freedom: mean 255, standard deviation 22.6.
    assert abs(chi_squared - 255) < 6 * 22.6
    for one, other in ((bytes_[:, 1:], bytes_[:, :-1]), (bytes_[1:], bytes_[:-1])):
        correlation = np.corrcoef(one.ravel(), other.ravel())[0, 1]
        assert abs(correlation) < 6 / np.sqrt(one.size)
