# SPDX-License-Identifier: Apache-2.0
"""Refusing workers that would not train the same network on the same graph."""

import hashlib
import json
from typing import Any

import numpy as np

from gcnloom.device import Device
from gcnloom.errors import ConfigError
from gcnloom.graphs.graph import Graph
from gcnloom.parallel.communicator import Communicator
from gcnloom.training.options import Options
from gcnloom.training.trainer import graph_digest

__all__ = ["require_alike"]

DIGEST = 32


def require_alike(
    communicator: Communicator, graph: Graph, options: Options, device: Device, **more: Any
) -> None:
    """Compare what has to be the same on every worker; all call it together.

    Parameters
    ----------
    communicator : Communicator
    graph : Graph
    options : Options
    device : Device
        Widths of its operands and sums are compared.
    **more
        Further settings, as JSON has them.

    Raises
    ------
    ConfigError
        A worker differs from the first.
    """
    config = device.config
    settings = options.as_dict() | more | {
        "graph": graph_digest(graph), "operand_width": config.operand_width,
        "sum_width": config.sum_width,
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).digest()
    mine = np.frombuffer(digest, dtype=np.uint8)
    digests = communicator.all_gather("start", mine, [(DIGEST,)] * communicator.size)
    for rank, other in enumerate(digests):
        if not np.array_equal(other, digests[0]):
            raise ConfigError(
                f"worker {rank} has another graph, other options or other operands than worker 0; "
                "try the same on every worker"
            )
