# SPDX-License-Identifier: Apache-2.0
"""Options of a training run, checked before anything is built."""

from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any

import numpy as np

from gcnloom.errors import ConfigError
from gcnloom.layers import Network
from gcnloom.training.optimiser import SGD, Adam, Optimiser

__all__ = ["OPTIMISERS", "ROUNDINGS", "Options"]

OPTIMISERS = ("adam", "sgd")
ROUNDINGS = ("nearest", "stochastic")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a GCN is trained.

    Parameters
    ----------
    hidden : int
        Features of every hidden layer.
    layers : int
        Graph convolutions.
    epochs : int
        Full-batch steps.
    optimiser : {"adam", "sgd"}
    lr : float
        Learning rate.
    momentum : float
        Of SGD.
    weight_decay : float
        Added to the first layer's gradient times its weights; Kipf and Welling decay no other.
    dropout : float
        Of hidden layers, 0 to below 1 in steps of 1/256.
    rounding : {"nearest", "stochastic"}
        How the device rounds the gradients it requantises.
    patience : int
        Stop after so many epochs without a smaller validation loss; 0 never stops early.
    seed : int
        Of the first weights and of every draw on the device.
    sampled : bool
        Whether training computes only the rows that the loss of the training nodes sees. The
        weights are the same, bit for bit.
    serial : bool
        Whether the device's units take turns, each command waiting for the one before it, to
        compare with. The weights are the same.
    mixture : bool
        Whether the sparse engine multiplies some rows of dense features where that is faster. The
        weights are the same, bit for bit.
    """

    hidden: int = 16
    layers: int = 2
    epochs: int = 200
    optimiser: str = "adam"
    lr: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 5e-3
    dropout: float = 0.25
    rounding: str = "nearest"
    patience: int = 0
    seed: int = 0
    sampled: bool = True
    serial: bool = False
    mixture: bool = True
    update: str = "device"
    validate_every: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.generic):  # which no checkpoint's JSON could hold
                object.__setattr__(self, field.name, value.item())
        for name, least in (("hidden", 1), ("layers", 1), ("epochs", 1), ("patience", 0)):
            self._at_least(name, least)
        if not (type(self.seed) is int and 0 <= self.seed < 1 << 32):
            raise ConfigError(f"seed={self.seed!r} is outside 0..2**32-1; try 0")
        for name in ("sampled", "serial", "mixture"):
            if type(getattr(self, name)) is not bool:
                default = type(self).__dataclass_fields__[name].default
                raise ConfigError(
                    f"{name}={getattr(self, name)!r} is no truth value; try {default}"
                )
        self._among("optimiser", OPTIMISERS)
        self._among("rounding", ROUNDINGS)
        for name in ("lr", "momentum", "weight_decay", "dropout"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not isfinite(value):
                raise ConfigError(f"{name}={value!r} is not a finite number; try 0.01")
        if self.lr <= 0:
            raise ConfigError(f"lr={self.lr} does not learn; try 0.02")
        self.make_optimiser()
        self.network(1, 1)

    def make_optimiser(self) -> Optimiser:
        """Return the optimiser these options name, at its start."""
        decay = [self.weight_decay] + [0.0] * (self.layers - 1)
        if self.optimiser == "adam":
            return Adam(lr=self.lr, weight_decay=decay)
        return SGD(lr=self.lr, momentum=self.momentum, weight_decay=decay)

    def network(self, features: int, classes: int) -> Network:
        """Return the network these options describe."""
        return Network(
            widths=(features, *[self.hidden] * (self.layers - 1), classes),
            dropout=self.dropout,
            stochastic=self.rounding == "stochastic",
        )

    def as_dict(self) -> dict[str, Any]:
        """Every option by name."""
        return asdict(self)

    def differences(self, other: dict[str, Any], *, ignore: tuple[str, ...]) -> list[str]:
        """Phrases about options that `other` has otherwise, for an error."""
        return [
            f"{field.name}={other.get(field.name)!r} not {getattr(self, field.name)!r}"
            for field in fields(self)
            if field.name not in ignore and other.get(field.name) != getattr(self, field.name)
        ]

    def _at_least(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if type(value) is not int or value < least:
            raise ConfigError(f"{name}={value!r} is no number from {least} on; try {least}")

    def _among(self, name: str, choices: tuple[str, ...]) -> None:
        if getattr(self, name) not in choices:
            raise ConfigError(
                f"{name}={getattr(self, name)!r} is unknown; try {' or '.join(choices)}"
            )
