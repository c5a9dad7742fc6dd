# SPDX-License-Identifier: Apache-2.0
"""Optimisers: SGD and Adam in float64, with states that can be stored and restored."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import CheckpointError, ConfigError

__all__ = ["SGD", "Adam", "Optimiser"]

Array = NDArray[np.float64]


class Optimiser(Protocol):
    """Turns gradients into new parameters and remembers what it needs."""

    def step(self, parameters: Sequence[Array], gradients: Sequence[Array]) -> list[Array]:
        """Return the next parameters; the given ones are left as they are."""

    def state(self) -> dict[str, Array]:
        """Everything that :meth:`restore` needs, as named arrays."""

    def restore(self, state: Mapping[str, Array]) -> None:
        """Continue from what :meth:`state` returned."""


class _Moments:
    """Step count and per-parameter arrays that both optimisers keep."""

    names: tuple[str, ...]

    def __init__(self, lr: float, weight_decay: float | Sequence[float]) -> None:
        _require("lr", lr, 0.0, np.inf)
        decays = [weight_decay] if isinstance(weight_decay, int | float) else weight_decay
        for decay in decays:
            _require("weight_decay", decay, 0.0, np.inf)
        self.lr = lr
        self.weight_decay = weight_decay
        self._steps = 0
        self._moments: dict[str, list[Array]] = {name: [] for name in self.names}

    def state(self) -> dict[str, Array]:
        """Everything that :meth:`restore` needs, as named arrays."""
        arrays = {
            f"{name}{index}": array.copy()
            for name, moments in self._moments.items()
            for index, array in enumerate(moments)
        }
        return {"steps": np.array(self._steps, dtype=np.float64)} | arrays

    def restore(self, state: Mapping[str, Array]) -> None:
        """Continue from what :meth:`state` returned."""
        if "steps" not in state:
            raise CheckpointError("optimiser state lacks 'steps'; try a checkpoint of this version")
        count, spare = divmod(len(state) - 1, len(self.names))
        wanted = {f"{name}{index}" for name in self.names for index in range(count)}
        if spare or wanted | {"steps"} != set(state):
            raise CheckpointError(
                f"optimiser state has {', '.join(sorted(state))}, which is not a "
                f"{type(self).__name__}'s; try the optimiser that wrote it"
            )
        self._steps = int(state["steps"])
        self._moments = {
            name: [np.array(state[f"{name}{i}"], dtype=np.float64) for i in range(count)]
            for name in self.names
        }

    def _begin(self, parameters: Sequence[Array], gradients: Sequence[Array]) -> list[Array]:
        """Count the step, make moments on the first, and add the decay to the gradients."""
        shapes = [parameter.shape for parameter in parameters]
        if shapes != [gradient.shape for gradient in gradients]:
            raise ValueError(f"gradients do not have the parameters' shapes {shapes}")
        if not self._steps:
            self._moments = {name: [np.zeros(shape) for shape in shapes] for name in self.names}
        for name in self.names:
            kept = [moment.shape for moment in self._moments[name]]
            if kept != shapes:
                raise CheckpointError(
                    f"optimiser state is for parameters {kept}, not {shapes}; "
                    "try the checkpoint of this model"
                )
        self._steps += 1
        decays = self.weight_decay
        if isinstance(decays, int | float):
            decays = [decays] * len(shapes)
        return [
            gradient + decay * parameter
            for parameter, gradient, decay in zip(parameters, gradients, decays, strict=True)
        ]


class SGD(_Moments):
    """Stochastic gradient descent with momentum, as PyTorch defines it.

    Parameters
    ----------
    lr : float
        Learning rate.
    momentum : float
        ``v = momentum * v + g``, starting at the first gradient; 0 is plain descent.
    weight_decay : float or sequence of float
        Added to the gradient times the parameter; a sequence has one for each parameter.

    Examples
    --------
    >>> SGD(lr=0.5).step([np.array([2.0])], [np.array([1.0])])
    [array([1.5])]
    """

    names = ("momentum",)

    def __init__(
        self, *, lr: float, momentum: float = 0.0, weight_decay: float | Sequence[float] = 0.0
    ) -> None:
        super().__init__(lr, weight_decay)
        _require("momentum", momentum, 0.0, 1.0)
        self.momentum = momentum

    def step(self, parameters: Sequence[Array], gradients: Sequence[Array]) -> list[Array]:
        """Return the next parameters; the given ones are left as they are."""
        gradients = self._begin(parameters, gradients)
        moments = self._moments["momentum"]
        for index, gradient in enumerate(gradients):
            moments[index] = self.momentum * moments[index] + gradient
        return [parameter - self.lr * v for parameter, v in zip(parameters, moments, strict=True)]


class Adam(_Moments):
    """Adam with the decay in the gradient, as PyTorch's ``Adam`` defines it.

    Parameters
    ----------
    lr : float
        Learning rate.
    betas : tuple of float
        Decay rates of the running means of the gradient and of its square.
    eps : float
        Added to the root of the corrected second moment.
    weight_decay : float or sequence of float
        Added to the gradient times the parameter; a sequence has one for each parameter.

    Examples
    --------
    >>> Adam(lr=0.5).step([np.array([2.0])], [np.array([3.0])])[0].round(6)
    array([1.5])
    """

    names = ("mean", "square")

    def __init__(
        self,
        *,
        lr: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float | Sequence[float] = 0.0,
    ) -> None:
        super().__init__(lr, weight_decay)
        for beta in betas:
            _require("betas", beta, 0.0, 1.0)
        _require("eps", eps, 0.0, np.inf)
        self.betas = betas
        self.eps = eps

    def step(self, parameters: Sequence[Array], gradients: Sequence[Array]) -> list[Array]:
        """Return the next parameters; the given ones are left as they are."""
        gradients = self._begin(parameters, gradients)
        means, squares = self._moments["mean"], self._moments["square"]
        first, second = self.betas
        result = []
        for index, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            means[index] = first * means[index] + (1 - first) * gradient
            squares[index] = second * squares[index] + (1 - second) * gradient**2
            mean = means[index] / (1 - first**self._steps)
            square = squares[index] / (1 - second**self._steps)
            result.append(parameter - self.lr * mean / (np.sqrt(square) + self.eps))
        return result


def _require(name: str, value: float, low: float, high: float) -> None:
    """Refuse hyper-parameters outside ``low <= value < high``, NaN among them."""
    if not low <= value < high:
        raise ConfigError(f"{name}={value} is outside {low:g}..{high:g}; try a value within")
