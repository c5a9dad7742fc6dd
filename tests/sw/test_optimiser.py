# SPDX-License-Identifier: Apache-2.0
"""Optimisers follow PyTorch's published update rules, written out here one number at a time."""

import math

import numpy as np
import pytest

from gcnloom.errors import CheckpointError, ConfigError
from gcnloom.training.optimiser import SGD, Adam

DECAYS = (0.1, 0.0)


def run(optimiser, steps, seed=0):
    """Gradients that depend on the parameters, so that errors feed on themselves."""
    rng = np.random.default_rng(seed)
    parameters = [rng.standard_normal((2, 3)), rng.standard_normal(4)]
    for step in range(steps):
        gradients = [np.sin(parameter + step) for parameter in parameters]
        parameters = optimiser.step(parameters, gradients)
    return parameters


def by_the_number(update, steps, seed=0):
    """The same run for each number alone; `update(p, g, memory, step)` returns the next p."""
    rng = np.random.default_rng(seed)
    parameters = [rng.standard_normal((2, 3)), rng.standard_normal(4)]
    for array, decay in zip(parameters, DECAYS, strict=True):
        for place in np.ndindex(array.shape):
            p, memory = float(array[place]), {}
            for step in range(steps):
                p = update(p, math.sin(p + step) + decay * p, memory, step + 1)
            array[place] = p
    return parameters


def torch_sgd(p, g, memory, _step):
    memory["b"] = g if "b" not in memory else 0.9 * memory["b"] + g
    return p - 0.05 * memory["b"]


def torch_adam(p, g, memory, step):
    memory["m"] = memory.get("m", 0.0) + (g - memory.get("m", 0.0)) * (1 - 0.8)
    memory["v"] = 0.95 * memory.get("v", 0.0) + (1 - 0.95) * g * g
    size = 0.02 / (1 - 0.8**step)
    return p - size * memory["m"] / (math.sqrt(memory["v"]) / math.sqrt(1 - 0.95**step) + 1e-3)


def make(which):
    if which == "sgd":
        return SGD(lr=0.05, momentum=0.9, weight_decay=DECAYS)
    return Adam(lr=0.02, betas=(0.8, 0.95), eps=1e-3, weight_decay=DECAYS)


@pytest.mark.parametrize(("which", "rule"), [("sgd", torch_sgd), ("adam", torch_adam)])
def test_thirty_steps_equal_the_rule_for_each_number(which, rule):
    for mine, theirs in zip(run(make(which), 30), by_the_number(rule, 30), strict=True):
        assert np.allclose(mine, theirs, rtol=1e-10)


def test_momentum_under_a_constant_gradient_has_its_closed_form():
    optimiser, parameters = SGD(lr=1.0, momentum=0.5), [np.zeros(1)]
    for _ in range(20):
        parameters = optimiser.step(parameters, [np.ones(1)])
    # Step k moves by sum(0.5**i for i < k) = 2 - 0.5**(k - 1).
    assert np.isclose(parameters[0][0], -(2 * 20 - sum(0.5 ** (k - 1) for k in range(1, 21))))


def test_one_decay_holds_for_every_parameter():
    one = SGD(lr=1.0, weight_decay=0.5).step([np.ones(2), np.ones(1)], [np.zeros(2), np.zeros(1)])
    assert [array.tolist() for array in one] == [[0.5, 0.5], [0.5]]


@pytest.mark.parametrize("which", ["sgd", "adam"])
def test_a_restored_optimiser_continues_bit_for_bit(which):
    whole, first, second = make(which), make(which), make(which)
    parameters = [np.linspace(-1, 1, 5)]
    whole.weight_decay = first.weight_decay = second.weight_decay = 0.1
    gradients = [[np.cos(np.arange(5) + step)] for step in range(6)]
    expected = parameters
    for gradient in gradients:
        expected = whole.step(expected, gradient)
    for gradient in gradients[:3]:
        parameters = first.step(parameters, gradient)
    state = first.state()
    first.step(parameters, gradients[3])  # must not reach into the stored state
    second.restore(state)
    for gradient in gradients[3:]:
        parameters = second.step(parameters, gradient)
    assert np.array_equal(parameters[0], expected[0])


def test_the_given_parameters_stay_as_they_are():
    parameter = np.ones(3)
    Adam().step([parameter], [np.ones(3)])
    assert np.array_equal(parameter, np.ones(3))


def test_a_state_of_something_else_is_refused():
    adam = Adam()
    adam.step([np.ones(2)], [np.ones(2)])
    with pytest.raises(CheckpointError, match="not a SGD's"):
        SGD(lr=0.1).restore(adam.state())
    with pytest.raises(CheckpointError, match="lacks 'steps'"):
        SGD(lr=0.1).restore({})
    with pytest.raises(CheckpointError, match=r"for parameters \[\(2,\)\], not \[\(3,\)\]"):
        adam.step([np.ones(3)], [np.ones(3)])


def test_gradients_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"shapes \[\(2,\)\]"):
        SGD(lr=0.1).step([np.ones(2)], [np.ones(1)])


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: SGD(lr=-1), "lr=-1 is outside"),
        (lambda: SGD(lr=float("nan")), "lr=nan"),
        (lambda: SGD(lr=1, momentum=1.0), "momentum=1.0"),
        (lambda: Adam(betas=(0.9, 1.5)), "betas=1.5"),
        (lambda: Adam(weight_decay=[0.1, -0.2]), "weight_decay=-0.2"),
    ],
)
def test_impossible_settings_are_named(make_it, message):
    with pytest.raises(ConfigError, match=message):
        make_it()
