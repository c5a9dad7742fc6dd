# SPDX-License-Identifier: Apache-2.0
"""The tensors a program works on, and how a product leaves its engine."""

from dataclasses import dataclass

from gcnloom.errors import ProgramError
from gcnloom.lower.descent import Descent
from gcnloom.tensors.memory import TensorLayout
from gcnloom_spec.isa import Target

__all__ = ["Output", "Tensor"]


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A dense matrix a program works on.

    Parameters
    ----------
    name : str
    rows, features : int
    stored : TensorLayout, optional
        Where it lies in device memory; left out, it only ever passes through the fabric.
    """

    name: str
    rows: int
    features: int
    stored: TensorLayout | None = None

    @property
    def layout(self) -> TensorLayout:
        """Where it lies in device memory; an error if it does not."""
        if self.stored is None:
            raise ProgramError(f"{self.name!r} is not in device memory; store it first")
        return self.stored


@dataclass(frozen=True, kw_only=True)
class Output:
    """How a product leaves its engine.

    Parameters
    ----------
    tensor : Tensor
        Stored to device memory if it has a layout.
    identifier : int
        Tensor number of statistics, random draws and shifts.
    raw, relu : bool
    mask : Tensor, optional
        Elements where this tensor is not above zero become zero.
    dropout : int
        Threshold of 256 below which an element is dropped.
    direct : Target, optional
        On-chip memory the fabric also carries the vectors to.
    grid : int
        Rows that get their room there at once, from a multiple of it on; 0: all.
    counted : int, optional
        Rows from this one on, which the loss does not see, go by the tensor number `outside`,
        so that they leave no trace in the statistics that shifts follow from.
    outside : int
    descent : Descent, optional
        Weights that are updated with the vectors, which are stored nowhere.
    row, feature : int
        Place in a larger tensor, of draws and of `counted`; the feature a multiple of the lanes.
    root : int
        Rows from this one on, if it is not 0, are those of a root term: they are drawn for as
        rows of their own, and counted up to `root_counted`.
    root_counted : int, optional
    """

    tensor: Tensor
    identifier: int = 0
    raw: bool = False
    relu: bool = False
    stochastic: bool = False
    mask: Tensor | None = None
    dropout: int = 0
    direct: Target | None = None
    grid: int = 0
    counted: int | None = None
    outside: int = 0
    descent: Descent | None = None
    row: int = 0
    feature: int = 0
    root: int = 0
    root_counted: int | None = None
