# SPDX-License-Identifier: Apache-2.0
"""A layer's input twice, one below the other: once for its edges, once for its root term.

``A (H W) + H V`` is one sparse product, ``[A I] [H W; H V]``: its operand has the rows of ``H W``
and behind them those of ``H V``, all at one exponent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scipy.sparse import block_array, block_diag, csr_array, dia_array

from gcnloom.layers import Network
from gcnloom.lower.builder import row_unit
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Stack", "Term", "cut"]


@dataclass(frozen=True, kw_only=True)
class Term:
    """One of the products that a dense product is the sum of, or is made of block by block.

    Parameters
    ----------
    rows : range
        Rows of the result that it adds to.
    shift : int
        Its left operand's rows are so far behind.
    weights : int
        First row of its weights.
    done : int
        Rows of the result that are there with its last one, if that is more: nobody uses those
        between.
    """

    rows: range
    shift: int = 0
    weights: int = 0
    done: int = 0


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Rows of the operand of a layer's sparse product.

    Parameters
    ----------
    heard : int
        Nodes that the layer listens to.
    own : int
        Nodes of the layer itself, a part of those.
    root : int
        First row of the root term; 0 without one.
    room : int
        Rows of the root term with zeros behind it, up to a memory word's end.
    """

    heard: int
    own: int
    root: int = 0
    room: int = 0

    @classmethod
    def of(
        cls, network: Network, layer: int, rows: Sequence[int], config: AcceleratorConfig
    ) -> "Stack":
        """Stack of a layer, where so many nodes count of the input and of each layer."""
        heard, own = rows[layer - 1], rows[layer]
        if not network.rooted(layer):
            return cls(heard=heard, own=own)
        unit = row_unit(config)
        root, room = (-(-nodes // unit) * unit for nodes in (heard, own))
        return cls(heard=heard, own=own, root=root, room=room)

    @property
    def rows(self) -> int:
        """Rows of the operand."""
        return self.root + self.room if self.root else self.heard

    def making(self, pitch: int) -> tuple[Term, ...]:
        """Terms of the operand, made of rows of the layer's input; blocks of `pitch` rows."""
        edges = Term(rows=range(self.heard), done=self.root)
        if not self.root:
            return (edges,)
        own = range(self.root, self.root + self.own)
        return edges, Term(rows=own, shift=-self.root, weights=pitch, done=self.rows)

    def passing(self, pitch: int) -> tuple[Term, ...]:
        """Terms of the input's gradient, made of rows of the operand's."""
        edges = Term(rows=range(self.heard))
        if not self.root:
            return (edges,)
        own = range(min(self.room, self.heard))
        return edges, Term(rows=own, shift=self.root, weights=pitch)

    def gradients(self, pitch: int) -> tuple[Term, ...]:
        """Terms of the weights' gradient, by the rows of the input that each is made of."""
        edges = Term(rows=range(self.heard))
        if not self.root:
            return (edges,)
        return edges, Term(rows=range(self.own), shift=self.root, weights=pitch)

    def beside_identity(self, adjacency: csr_array, one: int) -> csr_array:
        """Return the matrix ``[A I]`` of a layer with a root term, whose identity is of `one`."""
        block = csr_array(adjacency[: self.own, : self.heard])
        gap = csr_array((self.own, self.root - self.heard), dtype=block.dtype)
        ones = csr_array(dia_array(([[one] * self.own], [0]), shape=(self.own, self.room)))
        return csr_array(block_array([[block, gap, ones.astype(block.dtype)]]))

    def twice(self, features: csr_array) -> csr_array:
        """Sparse features of the operand's rows, each block with columns of its own."""
        if not self.root:
            return csr_array(features[: self.heard])
        gaps = self.root - self.heard, self.room - self.own
        gap, end = (csr_array((rows, 0), dtype=features.dtype) for rows in gaps)
        blocks = [features[: self.heard], gap, features[: self.own], end]
        return csr_array(block_diag(blocks, format="csr"))


def cut(span: range, most: int, terms: Sequence[Term], *, aligned: bool) -> Iterator[range]:
    """Cut rows into ranges of at most `most` that have the same terms.

    If `aligned`, no range lies on both sides of a multiple of `most`.
    """
    ends = sorted({edge for term in terms for edge in (term.rows.start, term.rows.stop)})
    start = span.start
    while start < span.stop:
        stop = (start // most + 1) * most if aligned else start + most
        stop = min([stop, span.stop, *(end for end in ends if end > start)])
        yield range(start, stop)
        start = stop
