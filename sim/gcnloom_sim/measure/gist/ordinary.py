# SPDX-License-Identifier: Apache-2.0
"""Whether one worker of sub-network training is an ordinary training, bit for bit (G2)."""

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.parallel.communicator import Alone
from gcnloom.parallel.gist import GistTrainer
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.options import Options
from gcnloom.training.weights import weights_sha256

__all__ = ["alone_is_ordinary"]

DATA, DEVICE, EPOCHS = "sbm:20,2", "model:demo", 3
WAYS = (
    Options(hidden=4, layers=3, epochs=EPOCHS, update="host", optimiser="adam"),
    Options(hidden=4, layers=3, epochs=EPOCHS),
)


def alone_is_ordinary() -> bool:
    """Train a small network both ways, with the update on the host and on the device."""
    graph, same = datasets.load(DATA), True
    for options in WAYS:
        with open_device(DEVICE) as device:
            ordinary = trainer_for(graph, options, device)
            ordinary.run()
            alone = GistTrainer(graph, options, device, Alone(), local_iterations=EPOCHS)
            alone.run()
        same &= weights_sha256(ordinary.weights) == weights_sha256(alone.weights)
    return same
