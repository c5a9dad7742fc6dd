# SPDX-License-Identifier: Apache-2.0
"""What products and reductions take, in closed form: beats of the engines, bytes and messages."""

from collections.abc import Iterable
from dataclasses import dataclass

from gcnloom.parallel.scheme import wire_type
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["COUNT", "Effort", "Engines", "reduced"]

COUNT = 8
"""Bytes of an envelope, a count or a part of a loss."""


@dataclass(kw_only=True)
class Effort:
    """What an epoch is expected to take of one worker.

    Attributes
    ----------
    beats : float
        In which its engines multiply, one after the other.
    bytes, messages : float
        Sent.
    features : float
        Of these bytes those of features, gradients of them and ids of vertices.
    fetched_bytes : float
        Of input features.
    """

    beats: float = 0.0
    bytes: float = 0.0
    messages: float = 0.0
    features: float = 0.0
    fetched_bytes: float = 0.0

    def over(self, epochs: int) -> "Effort":
        """Return the mean of so many epochs."""
        return Effort(**{name: value / epochs for name, value in vars(self).items()})

    def send(self, elements: float, element_bytes: int, messages: int) -> None:
        """Add features that go to others, in so many messages."""
        self.features += elements * element_bytes
        self.bytes += elements * element_bytes
        self.messages += messages

    def reduce(self, arrays: Iterable[tuple[int, int]], workers: int, times: float = 1) -> None:
        """Add all-reduces of arrays, of so many elements of so many bytes."""
        for elements, element_bytes in arrays:
            moved, messages = reduced(elements, workers)
            self.bytes += times * moved * element_bytes
            self.messages += times * messages


@dataclass(frozen=True, kw_only=True)
class Engines:
    """Beats of a device's engines, padding included.

    Parameters
    ----------
    config : AcceleratorConfig
    widths : tuple of int
        Features of the input and of each layer.
    sparse_input : bool
    """

    config: AcceleratorConfig
    widths: tuple[int, ...]
    sparse_input: bool

    @property
    def operand(self) -> int:
        """Bytes that an operand travels as."""
        return wire_type(self.config.operand_width).itemsize

    @property
    def sums(self) -> int:
        """Bytes that a sum travels as."""
        return wire_type(self.config.sum_width).itemsize

    @property
    def layers(self) -> range:
        """Numbers of the layers."""
        return range(1, len(self.widths))

    @property
    def weights(self) -> list[tuple[int, int]]:
        """Arrays of weight gradients: elements and bytes of one."""
        widths = self.widths
        return [(widths[layer - 1] * widths[layer], self.sums) for layer in self.layers]

    def aggregation(self, edges: float, columns: int) -> float:
        """Beats of a sparse matrix with so many non-zeros times so many columns."""
        return edges * -(-columns // self.config.lanes) / self.config.pes

    def update(self, layer: int, rows: float, entries: float) -> float:
        """Beats of the products by weights, forward and backward.

        Those are ``H W``, ``Hᵀ G`` and from the second layer on ``G Wᵀ``.

        Parameters
        ----------
        layer : int
        rows : float
            Of its input.
        entries : float
            Non-zeros of the features, if they are sparse.
        """
        inner, outer = self.widths[layer - 1 : layer + 1]
        if layer == 1 and self.sparse_input:
            return 2 * self.aggregation(entries, outer)
        both = 2 * rows * self._tiles(inner, outer)
        return both + (rows * self._tiles(outer, inner) if layer > 1 else 0)

    def _tiles(self, inner: int, outer: int) -> int:
        return -(-inner // self.config.rows) * -(-outer // self.config.columns)


def reduced(elements: int, workers: int) -> tuple[float, float]:
    """Elements and messages that a worker sends in an all-reduce, in the mean.

    Examples
    --------
    >>> reduced(100, 4)
    (150.0, 6.0)
    """
    share = 2 * (workers - 1) / workers
    return share * elements, share * min(elements, workers)
