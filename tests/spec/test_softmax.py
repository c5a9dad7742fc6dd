# SPDX-License-Identifier: Apache-2.0
"""Softmax in fixed point stays within its stated errors of softmax in floating point."""

import numpy as np
import pytest

from gcnloom_spec.softmax import (
    DISTANCE_BITS,
    DISTANCE_FRACTION,
    LOSS_ERROR,
    LOSS_FRACTION,
    PROBABILITY_ERROR,
    PROBABILITY_FRACTION,
    WANTED,
    multiplier_for,
    softmax,
)

ERRORS = {1: 1e-3, 2: 1e-3, 7: 1e-3, 64: 1e-3, 300: PROBABILITY_ERROR}
"""By number of classes."""
UNIT = 1 << PROBABILITY_FRACTION


def exact(logits, labels):
    """Probabilities, losses in nats and gradients, as textbooks have them."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    rows = np.arange(len(logits))
    below = logits.max(axis=1) - logits[rows, labels]
    losses = below + np.log(powers.sum(axis=1))
    gradient = probabilities.copy()
    gradient[rows, labels] -= 1
    return losses, gradient


def in_nats(losses):
    return losses * np.log(2) / (1 << LOSS_FRACTION)


@pytest.mark.parametrize("classes", ERRORS)
@pytest.mark.parametrize("exponent", [4, 0, -3, -12, -20, -30])
def test_gradients_and_losses_are_within_their_errors(classes, exponent):
    rng = np.random.default_rng(100 + classes - exponent)
    spread = rng.choice([0.01, 0.3, 1, 5, 12], (200, 1))
    logits = np.rint(rng.normal(size=(200, classes)) * spread * 2.0**-exponent).astype(np.int64)
    labels = rng.integers(0, classes, 200)
    found = softmax(logits, labels, shift=WANTED - exponent, multiplier=multiplier_for(1.0))
    losses, gradient = exact(logits * 2.0**exponent, labels)
    assert np.abs(found.gradient / UNIT - gradient).max() < ERRORS[classes]
    near = losses < 20
    assert near.sum() > 100
    assert np.abs(in_nats(found.losses) - losses)[near].max() < LOSS_ERROR
    assert np.array_equal(found.correct, logits.argmax(axis=1) == labels)


@pytest.mark.parametrize("kept", [0.75, 0.5, 0.1])
def test_the_multiplier_scales_logits_by_what_dropout_keeps(kept):
    rng = np.random.default_rng(int(100 * kept))
    logits, labels = rng.integers(-60_000, 60_000, (100, 7)), rng.integers(0, 7, 100)
    found = softmax(logits, labels, shift=WANTED + 13, multiplier=multiplier_for(kept))
    losses, gradient = exact(logits * 2.0**-13 * kept, labels)
    assert np.abs(found.gradient / UNIT - gradient).max() < ERRORS[7]
    assert np.abs(in_nats(found.losses) - losses).max() < LOSS_ERROR


@pytest.mark.parametrize("scale", [0, -0.5, 1.001])
def test_a_scale_that_is_no_share_is_refused(scale):
    with pytest.raises(ValueError, match=f"scale={scale} is outside 0 to 1; use that of the kept"):
        multiplier_for(scale)


@pytest.mark.parametrize("width", [32, 36, 48])
@pytest.mark.parametrize("shift", [0, 15, 16, 17, 40, 63])
def test_logits_at_both_ends_of_their_range_lose_no_bit(width, shift):
    """Differences need a bit more than logits, and a shift to the left must not wrap."""
    high = (1 << (width - 1)) - 1
    logits = np.array([[high, -high - 1, -high - 1], [-high - 1, high, 0], [-high - 1] * 3])
    found = softmax(logits, np.array([0, 0, 2]), shift=shift, multiplier=multiplier_for(1.0))
    most = 2**DISTANCE_BITS / 2**DISTANCE_FRACTION
    distances = np.minimum((logits.max(axis=1)[:, None] - logits) * 2.0 ** (WANTED - shift), most)
    losses, gradient = exact(-distances, np.array([0, 0, 2]))
    assert np.abs(found.gradient / UNIT - gradient).max() < ERRORS[7]
    assert np.abs(in_nats(found.losses) - losses).max() < 0.02
    assert found.correct.tolist() == [True, False, False]


@pytest.mark.parametrize("classes", [2, 3, 16, 100])
def test_ties_share_the_probability_and_the_first_class_is_right(classes):
    logits = np.full((classes, classes), -12345)
    found = softmax(logits, np.arange(classes), shift=WANTED + 7, multiplier=multiplier_for(1.0))
    others = found.gradient[~np.eye(classes, dtype=bool)]
    assert len(set(others.tolist())) == 1
    assert abs(others[0] / UNIT - 1 / classes) < (ERRORS[64] if classes <= 64 else ERRORS[300])
    assert set((np.diag(found.gradient) + UNIT).tolist()) == {int(others[0])}
    assert np.abs(in_nats(found.losses) - np.log(classes)).max() < LOSS_ERROR
    assert found.correct.tolist() == [True] + [False] * (classes - 1)


def test_a_distance_that_is_too_far_has_no_probability():
    far = 40 << 8
    found = softmax(
        np.array([[0, -far], [-far, 0]]), np.array([0, 0]), shift=WANTED + 8,
        multiplier=multiplier_for(1.0),
    )  # fmt: skip
    assert found.gradient[:, 1].tolist() == [0, found.gradient[0, 0] + UNIT]
    assert np.abs(found.gradient[:, 0] / UNIT - [0, -1]).max() < ERRORS[2]
    assert in_nats(found.losses[0]) < LOSS_ERROR
    assert in_nats(found.losses[1]) == pytest.approx(32, abs=0.01)
