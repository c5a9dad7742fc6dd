# SPDX-License-Identifier: Apache-2.0
"""Options of sampled training, checked before anything is built."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ConfigError
from gcnloom.sampling.draws import Draws
from gcnloom.sampling.samplers import Batches, Labor, Neighbour, NodeBatches, Sampler
from gcnloom.sampling.topology import Topology
from gcnloom.training.options import Options

__all__ = ["SAMPLED_MODES", "SAMPLERS", "Sampling"]

SAMPLED_MODES = ("minibatch", "cooperative")
SAMPLERS = ("neighbour", "labor")


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How batches are sampled.

    Parameters
    ----------
    sampler : {"neighbour", "labor"}
    batch : int
        Training nodes of each worker in an iteration.
    fanout : tuple of int
        Edges kept into a vertex, of each layer, the one next to the input first.
    kappa : int
        Iterations after which nothing is left of a sampler's draws; 1: batches are independent.
    cache : int
        Rows of input features that each worker holds from batch to batch.
    evaluate_every : int
        Epochs between looks at the validation nodes; 0: only at the end.
    """

    sampler: str = "labor"
    batch: int = 32
    fanout: tuple[int, ...] = (10, 10)
    kappa: int = 1
    cache: int = 0
    evaluate_every: int = 10

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise ConfigError(f"sampler={self.sampler!r} is unknown; try {' or '.join(SAMPLERS)}")
        for name, least in (("batch", 1), ("kappa", 1), ("cache", 0), ("evaluate_every", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ConfigError(f"{name}={value!r} is no number from {least} on; try {least}")

    def check(self, options: Options, mode: str) -> None:
        """Raise ConfigError about what cannot be trained on samples."""
        if mode not in SAMPLED_MODES:
            raise ConfigError(f"parallel={mode!r} is unknown; try {' or '.join(SAMPLED_MODES)}")
        if options.update != "host":
            raise ConfigError(
                f"update={options.update!r} keeps a training on one device; try update='host' "
                f"with parallel={mode!r}"
            )
        if options.rounding != "nearest":
            raise ConfigError(
                f"rounding={options.rounding!r} draws by place on the device, and a batch's "
                "vertices change places; try rounding='nearest'"
            )
        if options.patience and not self.evaluate_every:
            raise ConfigError(
                f"patience={options.patience} needs looks at the validation nodes; "
                "try evaluate_every=10"
            )
        if len(self.fanout) != options.layers:
            raise ConfigError(
                f"fanout={','.join(map(str, self.fanout))} is for {len(self.fanout)} layers and "
                f"there are {options.layers}; try {','.join(['10'] * options.layers)}"
            )

    def make(
        self, topology: Topology, train: NDArray[np.int64], workers: int, seed: int
    ) -> tuple[Sampler, Batches]:
        """Return what chooses edges, and training nodes, for so many workers."""
        draws = Draws(seed=seed, kappa=self.kappa)
        kind = Neighbour if self.sampler == "neighbour" else Labor
        sampler = kind(topology=topology, fanout=self.fanout, draws=draws)
        return sampler, NodeBatches(train, self.batch * workers, seed)

    def as_dict(self) -> dict[str, Any]:
        """Every option by name, as JSON has them."""
        return asdict(self) | {"fanout": list(self.fanout)}
