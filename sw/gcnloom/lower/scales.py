# SPDX-License-Identifier: Apache-2.0
"""Delayed scaling as commands: how the exponents of a network's tensors follow from each other."""

from collections.abc import Mapping

from gcnloom.layers import Network
from gcnloom_spec.commands import Scale
from gcnloom_spec.isa import Rule

__all__ = [
    "fit_backward",
    "fit_forward",
    "fit_inference",
    "fit_weights",
    "set_scales",
    "use_weights",
]


def set_scales(
    network: Network, exponents: Mapping[str, int], wanted: Mapping[str, int]
) -> list[Scale]:
    """Give tensors, by name, exponents that they have or are wanted to have."""
    return [
        Scale(
            rule=Rule.SET, tensor=network.identifier(name), exponent=exponents.get(name, 0),
            wanted=wanted.get(name, 0),
        )
        for name in sorted({*exponents, *wanted})
    ]  # fmt: skip


def use_weights(network: Network) -> list[Scale]:
    """Say that the weights just made are those in use."""
    fit = _Fit(network)
    for layer in range(1, network.layers + 1):
        fit.same(f"used_weights{layer}", f"weights{layer}")
    return fit.commands


def fit_forward(network: Network) -> list[Scale]:
    """Fit what the next forward pass and its loss requantise."""
    fit, last = _Fit(network), network.layers
    for layer in range(1, last + 1):
        factors = _hidden(layer), f"used_weights{layer}"
        if network.aggregates(layer):
            fit.of(f"product{layer}", *factors)
            fit.same(f"outside_product{layer}", f"product{layer}")
            factors = f"product{layer}", "adjacency"
        fit.of(f"hidden{layer}" if layer < last else "logits", *factors)
        if layer < last:
            fit.same(f"outside_hidden{layer}", f"hidden{layer}")
    fit.of(f"gradient{last}", "probability", "one")
    return fit.commands


def fit_backward(network: Network) -> list[Scale]:
    """Fit what the next backward pass requantises, after the forward pass."""
    fit = _Fit(network)
    for layer in range(network.layers, 0, -1):
        spread = network.spread(layer)
        if network.aggregates(layer):
            fit.of(spread, f"gradient{layer}", "adjacency")
        fit.of(f"weight_gradient{layer}", _hidden(layer), spread)
        if layer > 1:
            fit.of(f"gradient{layer - 1}", spread, f"used_weights{layer}")
    return fit.commands


def fit_weights(network: Network) -> list[Scale]:
    """Fit the weights that the next step makes."""
    fit = _Fit(network)
    for layer in range(1, network.layers + 1):
        fit.of(f"weights{layer}", f"masters{layer}", "one")
    return fit.commands


def fit_inference(network: Network) -> list[Scale]:
    """Fit what the next inference requantises: after one, and once more before another."""
    fit = _Fit(network)
    for layer in range(1, network.layers + 1):
        before = f"infer_hidden{layer - 1}" if layer > 1 else "features"
        factors = before, f"used_weights{layer}"
        if network.aggregates(layer):
            fit.of(f"infer_product{layer}", *factors)
            factors = f"infer_product{layer}", "adjacency"
        fit.of(f"infer_hidden{layer}" if layer < network.layers else "infer_logits", *factors)
    return fit.commands


def _hidden(layer: int) -> str:
    """Name the input of a layer."""
    return f"hidden{layer - 1}" if layer > 1 else "features"


class _Fit:
    def __init__(self, network: Network) -> None:
        self._number = network.identifier
        self.commands: list[Scale] = []

    def of(self, tensor: str, left: str, right: str) -> None:
        """Fit a tensor whose sums are products of two others."""
        self._add(Rule.FIT, tensor, left, right)

    def same(self, tensor: str, left: str) -> None:
        """Give a tensor the scale of another."""
        self._add(Rule.SAME, tensor, left, left)

    def _add(self, rule: Rule, tensor: str, left: str, right: str) -> None:
        number = self._number
        self.commands.append(
            Scale(rule=rule, tensor=number(tensor), left=number(left), right=number(right))
        )
