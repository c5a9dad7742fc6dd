# SPDX-License-Identifier: Apache-2.0
"""How a training of the command line begins, is kept, and is interrupted."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gcnloom.cli.progress import Progress
from gcnloom.graphs.graph import Graph
from gcnloom.training.checkpoint import Checkpoint, save_checkpoint
from gcnloom.training.options import Options
from gcnloom.training.weights import save_weights

__all__ = ["Kept", "Start", "interrupted"]

Array = NDArray[np.float64]


class Kept(Protocol):
    """A training that can be begun with something, kept and continued."""

    @property
    def best(self) -> list[Array]:
        """Weights kept, by layer."""

    @property
    def operand_width(self) -> int:
        """Bits of an operand on its device."""

    def start_from(self, weights: list[Array]) -> None:
        """Begin with these weights."""

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint."""

    def checkpoint(self) -> Checkpoint:
        """State to continue from."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """What a training takes, checked and loaded.

    Attributes
    ----------
    begin : float
        ``time.perf_counter()`` at the start.
    settings : Options
    path : Path
        Of the checkpoint.
    first : list of NDArray[np.float64] or None
        Weights to begin with.
    earlier : Checkpoint or None
        To continue from.
    progress : Progress
    graph : Graph
    """

    begin: float
    settings: Options
    path: Path
    first: list[NDArray[np.float64]] | None
    earlier: Checkpoint | None
    progress: Progress
    graph: Graph

    def begin_with(self, trainer: Kept) -> None:
        """Take up a checkpoint or weights, if there are some."""
        if self.earlier is not None:
            trainer.restore(self.earlier)
        if self.first is not None:
            trainer.start_from(self.first)

    def keep(self, trainer: Kept, weights: Path | None) -> None:
        """Write the checkpoint of a finished training, and its weights if asked to."""
        save_checkpoint(self.path, trainer.checkpoint())
        if weights:
            save_weights(weights, trainer.best, trainer.operand_width)


def interrupted(trainer: Kept, path: Path, arguments: list[str]) -> None:
    """Write the checkpoint of an interrupted training; say how to continue."""
    save_checkpoint(path, trainer.checkpoint())
    command = [word for word in arguments if word not in ("--force", "--resume")]
    print(
        f"gcnloom: interrupted after epoch {len(trainer.checkpoint().meta['history'])}; "
        f"continue with: gcnloom {shlex.join([*command, '--resume'])}",
        file=sys.stderr,
    )
