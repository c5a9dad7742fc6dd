# SPDX-License-Identifier: Apache-2.0
"""How a training of the command line begins, is kept, and is interrupted."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gcnloom.cli.progress import Progress
from gcnloom.graphs.graph import Graph
from gcnloom.training.checkpoint import Checkpoint, save_checkpoint
from gcnloom.training.options import Options
from gcnloom.training.trainer import FullBatch
from gcnloom.training.weights import save_weights

__all__ = ["Start", "interrupted"]


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

    def begin_with(self, trainer: FullBatch) -> None:
        """Take up a checkpoint or weights, if there are some."""
        if self.earlier is not None:
            trainer.restore(self.earlier)
        if self.first is not None:
            trainer.start_from(self.first)

    def keep(self, trainer: FullBatch, weights: Path | None) -> None:
        """Write the checkpoint of a finished training, and its weights if asked to."""
        save_checkpoint(self.path, trainer.checkpoint())
        if weights:
            save_weights(weights, trainer.best, trainer.engine.device.config.operand_width)


def interrupted(trainer: FullBatch, path: Path, arguments: list[str]) -> None:
    """Write the checkpoint of an interrupted training; say how to continue."""
    save_checkpoint(path, trainer.checkpoint())
    command = [word for word in arguments if word not in ("--force", "--resume")]
    print(
        f"gcnloom: interrupted after epoch {len(trainer.checkpoint().meta['history'])}; "
        f"continue with: gcnloom {shlex.join([*command, '--resume'])}",
        file=sys.stderr,
    )
