# SPDX-License-Identifier: Apache-2.0
"""What one epoch of a training showed."""

from dataclasses import dataclass

__all__ = ["Epoch"]


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one epoch showed, at the weights it began with.

    Attributes
    ----------
    epoch : int
        From 1 on.
    loss : float
        Mean cross-entropy of the training nodes.
    train, val : float or None
        Accuracy; None of an empty split, or where validation nodes were not looked at. Where the
        device updates the weights, `val` is that of the weights the epoch ended with.
    val_loss : float or None
    cycles : int
        Device cycles of the forward and the backward pass, in the first epoch of their
        repetitions until shifts fit; 0 on a device without a clock, or of epochs that are part
        of a longer run.
    saturations : int
        Results that were clipped in the passes that counted; 0 likewise.
    """

    epoch: int
    loss: float
    train: float | None
    val: float | None
    val_loss: float | None
    cycles: int
    saturations: int
