# SPDX-License-Identifier: Apache-2.0
"""Options of a training run, checked before anything is built."""

from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any

import numpy as np

from gcnloom.errors import ConfigError
from gcnloom.layers import MODELS, MOST_LAYERS, Network
from gcnloom.training.optimiser import SGD, Adam, Optimiser

__all__ = ["OPTIMISERS", "ROUNDINGS", "UPDATES", "Options"]

OPTIMISERS = ("adam", "sgd")
UPDATES = ("device", "host")
ROUNDINGS = ("nearest", "stochastic")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a network is trained.

    Parameters
    ----------
    update : {"device", "host"}
        Where loss and weight step are computed: on the device, many epochs a run, by SGD on
        integers; or on the host, in float64.
    model : {"gcn", "sage", "gin"}
        Graph convolution: Kipf and Welling's, GraphSAGE with the mean aggregator, or the graph
        isomorphism network, see :class:`gcnloom.layers.Network`.
    hidden : int
        Features of every hidden layer, those inside the perceptrons of ``"gin"`` among them.
    layers : int
        Graph convolutions.
    residual : bool
        Whether hidden layers whose input is one add it before their ReLU.
    epsilon : float
        What ``"gin"`` adds to the weight of a node's own features, which is one.
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
    validate_every : int
        Epochs between looks at the validation nodes where the device updates the weights; 0: only
        at the end.
    halve_every : int
        Epochs, a power of two, after which the learning rate is halved, again and again, where
        the device updates the weights; 0: never.
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

    model: str = "gcn"
    hidden: int = 16
    layers: int = 2
    residual: bool = False
    epsilon: float = 0.0
    epochs: int = 200
    optimiser: str = "sgd"
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 1e-2
    dropout: float = 0.5
    rounding: str = "nearest"
    patience: int = 0
    seed: int = 0
    sampled: bool = True
    serial: bool = False
    mixture: bool = True
    update: str = "device"
    validate_every: int = 0
    halve_every: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.generic):  # which no checkpoint's JSON could hold
                object.__setattr__(self, field.name, value.item())
        least_of = {"hidden": 1, "layers": 1, "epochs": 1}
        least_of |= dict.fromkeys(("patience", "validate_every", "halve_every"), 0)
        for name, least in least_of.items():
            self._at_least(name, least)
        if not (type(self.seed) is int and 0 <= self.seed < 1 << 32):
            raise ConfigError(f"seed={self.seed!r} is outside 0..2**32-1; try 0")
        for name in ("residual", "sampled", "serial", "mixture"):
            if type(getattr(self, name)) is not bool:
                default = type(self).__dataclass_fields__[name].default
                raise ConfigError(
                    f"{name}={getattr(self, name)!r} is no truth value; try {default}"
                )
        self._among("model", MODELS)
        self._among("optimiser", OPTIMISERS)
        self._among("rounding", ROUNDINGS)
        self._among("update", UPDATES)
        self._check_update()
        for name in ("lr", "momentum", "weight_decay", "dropout", "epsilon"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not isfinite(value):
                raise ConfigError(f"{name}={value!r} is not a finite number; try 0.01")
        if self.lr <= 0:
            raise ConfigError(f"lr={self.lr} does not learn; try 0.02")
        self.make_optimiser()
        self._check_depth()
        self.network(1, 1)

    def _check_depth(self) -> None:
        """Refuse what a perceptron in each layer makes too deep, in terms of these options."""
        most = MOST_LAYERS // self.products
        if self.layers > most and self.products > 1:
            raise ConfigError(
                f"{self.layers} layers of model={self.model!r} are {self.layers * self.products} "
                f"products, more than the device keeps statistics for; try at most {most}"
            )

    def _check_update(self) -> None:
        """Refuse what only the host, or only the device, can do."""
        if self.update == "host":
            for name in ("validate_every", "halve_every"):
                if getattr(self, name):
                    raise ConfigError(
                        f"{name}={getattr(self, name)} is for weights that the device updates; "
                        'try 0, or update="device"'
                    )
            return
        if self.optimiser != "sgd":
            raise ConfigError(
                f"optimiser={self.optimiser!r} is the host's; try 'sgd', or update='host'"
            )
        if self.patience and not self.validate_every:
            raise ConfigError(
                f"patience={self.patience} needs validation on the device; try validate_every=10"
            )
        if self.halve_every & (self.halve_every - 1) or self.halve_every == 1:
            raise ConfigError(f"halve_every={self.halve_every} is no power of two from 2; try 64")

    def require_host(self, mode: str) -> None:
        """Raise ConfigError about weights that the device updates, where several are to agree."""
        if self.update != "host":
            raise ConfigError(
                f"update={self.update!r} keeps a training on one device; try update='host' with "
                f"parallel={mode!r}"
            )

    def require_gcn(self, mode: str) -> None:
        """Raise ConfigError about a network that trains on one device only."""
        if self.model != "gcn" or self.residual:
            raise ConfigError(
                f"model={self.model!r}, residual={self.residual} trains on one device; try "
                f"model='gcn', residual=False with parallel={mode!r}, or no parallel"
            )

    @property
    def products(self) -> int:
        """Weight matrices of a layer: those of a perceptron are two."""
        return 2 if self.model == "gin" else 1

    @property
    def patient_judgements(self) -> int:
        """Judgements of the device without a smaller loss after which it stops; 0: never."""
        return -(-self.patience // self.validate_every) if self.validate_every else 0

    def make_optimiser(self) -> Optimiser:
        """Return the optimiser these options name, at its start."""
        decay = [self.weight_decay] + [0.0] * (self.layers * self.products - 1)
        if self.optimiser == "adam":
            return Adam(lr=self.lr, weight_decay=decay)
        return SGD(lr=self.lr, momentum=self.momentum, weight_decay=decay)

    def network(self, features: int, classes: int) -> Network:
        """Return the network these options describe."""
        return Network(
            widths=(features, *[self.hidden] * (self.layers * self.products - 1), classes),
            model=self.model,
            residual=self.residual,
            epsilon=self.epsilon,
            dropout=self.dropout,
            stochastic=self.rounding == "stochastic",
        )

    def as_dict(self) -> dict[str, Any]:
        """Every option by name."""
        return asdict(self)

    def differences(self, other: dict[str, Any], *, ignore: tuple[str, ...]) -> list[str]:
        """Phrases about options that `other` has otherwise, for an error.

        One that it does not have was not there yet, and counts as its default.
        """
        there = {field.name: other.get(field.name, field.default) for field in fields(self)}
        return [
            f"{name}={value!r} not {getattr(self, name)!r}"
            for name, value in there.items()
            if name not in ignore and value != getattr(self, name)
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
