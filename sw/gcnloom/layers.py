# SPDX-License-Identifier: Apache-2.0
"""A network as data: model, layer widths, dropout, and the numbers its tensors go by."""

from dataclasses import dataclass
from itertools import pairwise

from gcnloom.errors import ConfigError
from gcnloom_spec.isa import EMISSION
from gcnloom_spec.registers import STATISTICS

__all__ = ["MODELS", "MOST_LAYERS", "Network"]

MODELS = ("gcn", "sage", "gin")
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
MOST_LAYERS = (STATISTICS - 1 - len(CONSTANTS)) // len(KINDS + FURTHER)
"""Layers whose tensors all have a number on the device."""
MOST_FEATURES = 1 << EMISSION["feature"]


@dataclass(frozen=True, kw_only=True)
class Network:
    """Shape of a network, with ReLU and dropout between layers; a layer is one weight matrix.

    With `model` ``"gcn"`` (Kipf and Welling, 2017) a layer is ``A (H W)``. With ``"sage"``
    (Hamilton, Ying and Leskovec, 2017, mean aggregator) it is ``A (H W) + H V``: the *root term*
    has weights of its own, below the others in one matrix. With ``"gin"`` (Xu, Hu, Leskovec and
    Jegelka, 2019) layers are the two of a perceptron in turn: ``A (H W)``, and ``H W`` along no
    edges.

    Parameters
    ----------
    widths : tuple of int
        Features of the input, of each hidden layer, and classes.
    model : {"gcn", "sage", "gin"}
    residual : bool
        Whether hidden layers whose input is one add it before their ReLU (He et al., 2016).
    epsilon : float
        What ``"gin"`` adds to the weight of a node's own features, which is one.
    dropout : float
        Probability that a hidden element is dropped, 0 to below 1, in steps of 1/256.
    stochastic : bool
        Whether gradients are rounded up or down at random where they are requantised, with
        their own value as mean, and not to the nearest.
    """

    widths: tuple[int, ...]
    model: str = "gcn"
    residual: bool = False
    epsilon: float = 0.0
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
        if self.layers > MOST_LAYERS:
            raise ConfigError(
                f"{self.layers} layers are more than the device keeps statistics for; "
                f"try at most {MOST_LAYERS}"
            )
        if not 0 <= self.threshold < DRAWS:
            raise ConfigError(f"dropout {self.dropout} is outside 0 to below 1; try 0.5")
        self._check_model()

    def _check_model(self) -> None:
        if self.model not in MODELS:
            raise ConfigError(f"model={self.model!r} is unknown; try {' or '.join(MODELS)}")
        if self.epsilon and self.model != "gin":
            raise ConfigError(
                f"epsilon={self.epsilon} is of model='gin' and this is {self.model!r}; try 0"
            )
        if self.model == "gin" and self.layers % 2:
            raise ConfigError(
                f"widths {self.widths} leave a perceptron of model='gin' with one layer; "
                "try two weight matrices for each"
            )
        if self.residual and self.model == "gin":
            raise ConfigError(
                "residual=True reaches over both layers of a perceptron of model='gin', whose "
                "results have exponents of their own; try model='gcn' or 'sage'"
            )
        for layer in range(2, self.layers if self.residual else 2):
            inner, outer = self.widths[layer - 1 : layer + 1]
            if inner != outer:
                raise ConfigError(
                    f"residual=True adds {inner} features to {outer}; try hidden layers of one "
                    "width"
                )
        if self.residual and self.layers < 3:
            raise ConfigError(
                f"residual=True adds nothing with {self.layers} layers, of which none is from "
                "hidden to hidden features; try layers=3"
            )

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

    def aggregates(self, layer: int) -> bool:
        """Whether a layer's products go along the edges."""
        return self.model != "gin" or layer % 2 == 1

    @property
    def hops(self) -> int:
        """How many layers do."""
        return sum(self.aggregates(layer) for layer in range(1, self.layers + 1))

    def rooted(self, layer: int) -> bool:
        """Whether a layer adds a root term, which has a second block of weights."""
        return self.model == "sage" or (self.residual and 1 < layer < self.layers)

    @property
    def trains_root(self) -> bool:
        """Whether root terms have weights that are trained."""
        return self.model == "sage"

    @property
    def has_roots(self) -> bool:
        """Whether any layer adds a root term."""
        return any(self.rooted(layer) for layer in range(1, self.layers + 1))

    def identity(self, layer: int) -> bool:
        """Whether that block is the identity, which nothing trains."""
        return self.model != "sage" and self.rooted(layer)

    @property
    def keeps_identity(self) -> bool:
        """Whether any layer has such a block."""
        return any(self.identity(layer) for layer in range(1, self.layers + 1))

    def adds(self, layer: int) -> bool:
        """Whether a layer adds its input: the identity is then part of its root weights."""
        return self.residual and 1 < layer < self.layers

    def blocks(self, layer: int) -> int:
        """Blocks of a layer's weights, one below the other, as rows of its input each."""
        return 2 if self.rooted(layer) else 1

    @property
    def weight_shapes(self) -> tuple[tuple[int, int], ...]:
        """Shapes of the weights that are trained, by layer."""
        return tuple(
            (inner if self.identity(layer) else inner * self.blocks(layer), outer)
            for layer, (inner, outer) in enumerate(pairwise(self.widths), start=1)
        )

    def spread(self, layer: int) -> str:
        """Name the gradient that a layer's weights and its input get theirs from."""
        return f"aggregate_gradient{layer}" if self.aggregates(layer) else f"gradient{layer}"

    def rows_of(self, hops: tuple[int, ...]) -> tuple[int, ...]:
        """Rows of the input and of each layer from those of the input and behind each hop."""
        rows = list(hops[:1])
        for layer in range(1, self.layers + 1):
            hop = sum(self.aggregates(each) for each in range(1, layer + 1))
            rows.append(hops[hop])
        return tuple(rows)

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
