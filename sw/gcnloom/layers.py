# SPDX-License-Identifier: Apache-2.0
"""The GCN as data: layer widths, dropout, and the numbers its tensors go by."""

from dataclasses import dataclass

from gcnloom.errors import ConfigError
from gcnloom_spec.isa import EMISSION
from gcnloom_spec.registers import STATISTICS

__all__ = ["Network"]

FORWARD = ("product", "hidden")
KINDS = (*FORWARD, "aggregate_gradient", "gradient")
FURTHER = (
    "outside_product", "outside_hidden", "infer_product", "infer_hidden",
    "weights", "used_weights", "masters", "weight_gradient",
)  # fmt: skip
"""Kinds that come after all of those: rows that the loss does not see, inference, weights."""
CONSTANTS = ("adjacency", "features", "probability", "one", "logits", "infer_logits")
"""What there is one of, after all kinds."""
DRAWS = 256
MOST_FEATURES = 1 << EMISSION["feature"]


@dataclass(frozen=True, kw_only=True)
class Network:
    """Shape of a GCN, each layer ``A (H W)`` with ReLU and dropout between layers.

    Parameters
    ----------
    widths : tuple of int
        Features of the input, of each hidden layer, and classes.
    dropout : float
        Probability that a hidden element is dropped, 0 to below 1, in steps of 1/256.
    stochastic : bool
        Whether gradients are rounded up or down at random where they are requantised, with
        their own value as mean, and not to the nearest.
    """

    widths: tuple[int, ...]
    dropout: float = 0.0
    stochastic: bool = False

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise ConfigError(f"widths {self.widths} are no network; try (features, 16, classes)")
        if max(self.widths[1:]) > MOST_FEATURES:
            raise ConfigError(
                f"a layer of {max(self.widths[1:])} features or classes is more than commands can "
                f"name; try at most {MOST_FEATURES}"
            )
        most = (STATISTICS - 1 - len(CONSTANTS)) // len(KINDS + FURTHER)
        if self.layers > most:
            raise ConfigError(
                f"{self.layers} layers are more than the device keeps statistics for; "
                f"try at most {most}"
            )
        if not 0 <= self.threshold < DRAWS:
            raise ConfigError(f"dropout {self.dropout} is outside 0 to below 1; try 0.5")

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.widths) - 1

    @property
    def threshold(self) -> int:
        """Random bytes below this drop an element."""
        return round(self.dropout * DRAWS)

    @property
    def kept(self) -> float:
        """Exact probability that an element is kept."""
        return 1 - self.threshold / DRAWS

    def identifier(self, tensor: str) -> int:
        """Tensor number on the device of, for example, ``"hidden1"``; 0 is of raw results."""
        kind = tensor.rstrip("0123456789")
        if kind in CONSTANTS:
            return 1 + len(KINDS + FURTHER) * self.layers + CONSTANTS.index(kind)
        layer = int(tensor[len(kind) :]) - 1
        if kind in KINDS:
            return 1 + len(KINDS) * layer + KINDS.index(kind)
        return 1 + len(KINDS) * self.layers + len(FURTHER) * layer + FURTHER.index(kind)

    def outside(self, tensor: str) -> int:
        """Tensor number of those rows of ``"hidden1"``, for example, that the loss does not see."""
        return self.identifier(f"outside_{tensor}")

    def tensor_names(self) -> dict[int, str]:
        """Names by tensor number, of all tensors that are requantised on the device."""
        names = [
            f"{kind}{layer}" for layer in range(1, self.layers + 1) for kind in KINDS
            if layer < self.layers or kind in ("product", "aggregate_gradient")
        ]  # fmt: skip
        return {self.identifier(name): name for name in names}

    def every_name(self) -> dict[int, str]:
        """Names by tensor number, of whatever has a scale on the device."""
        layers = range(1, self.layers + 1)
        names = [f"{kind}{layer}" for layer in layers for kind in KINDS + FURTHER]
        return {self.identifier(name): name for name in [*names, *CONSTANTS]}

    def forward_names(self) -> dict[int, str]:
        """Names by tensor number of what a training forward pass requantises."""
        names = self.tensor_names()
        inside = {key: name for key, name in names.items() if name.startswith(FORWARD)}
        return inside | {self.outside(name): f"{name}.outside" for name in inside.values()}
