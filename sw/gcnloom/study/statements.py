# SPDX-License-Identifier: Apache-2.0
"""The statements that measurements are held against, in our words, and where they come from.

The methods are those of five papers. Whether one is *sourced*, from an abstract, the authors' code
or a paper built on the same scheme, or *our reading* of it stands beside each; the numbers asked
are ours throughout.
"""

from typing import NamedTuple

__all__ = ["SOURCES", "STATEMENTS", "Statement"]

SOURCES = {
    "M": "MixGCN, Wan et al., 2025",
    "G": "GIST, Wolfe et al., 2021",
    "C": "the case for sampling, Serafini and Guan, 2021",
    "B": "cooperative minibatching, Balin, Sancak and Çatalyürek, 2023",
    "A": "a taxonomy of parallel graph networks, Besta and Hoefler, 2022",
}
"""Papers by the letter that their statements begin with."""
SOURCED, OURS = "sourced", "our reading"


class Statement(NamedTuple):
    """A statement of what a method does.

    Attributes
    ----------
    name : str
    says : str
    asked : str
        What counts as shown.
    origin : {"sourced", "our reading"}
    """

    name: str
    says: str
    asked: str
    origin: str


STATEMENTS = tuple(
    Statement(*row) for row in (
        ("M1", ("features between workers take 4 L N D b (1 - 1/P) bytes an epoch, a share of them "
         "falls as 1/P"), "within 1 %, P = 2, 4, 8, 16, METIS beside it", SOURCED),
        ("M2", "P workers compute what one computes", "the same bits", SOURCED),
        ("M3", "sparse MACs, dense MACs and bytes are dealt evenly to workers",
         "largest over mean ≤ 1.02, METIS beside it", SOURCED),
        ("M4", "a sampled sparse product computes what a mask leaves, and no more",
         "the same bits; work within 5 % of the mask", OURS),
        ("M5", "sparse and dense engine in a pipeline, both as busy, beat taking turns",
         "≥ 1.8 times, idle ≤ 10 %, any node order the same bits", OURS),
        ("M6", "a comparison has the same MACs, memory and bandwidth on both sides",
         "the factor, with its baseline", OURS),
        ("M7", "mixture of parallelism has more throughput than a partition on equal hardware",
         "≥ 5 graphs", SOURCED),
        ("M8", "a worker needs memory for topology and Σ N D / P", "within 10 %", SOURCED),
        ("G1", ("groups cut each layer's neurons exactly; scattering what was gathered changes "
         "nothing"), "all of 1000 random trials", SOURCED),
        ("G2", "one part is ordinary training; 2, 4, 8 keep its accuracy at equal total epochs",
         "the same bits; -0.5, -1.0, -2.0 points at most, 5 seeds", SOURCED),
        ("G3", ("hidden weights and MACs of a worker fall as 1/m², those of first and last layer "
         "as 1/m"), "within 1 %", SOURCED),
        ("G4", "a round moves 2 (m - 1) times a part, far less than an all-reduce a step",
         "within 1 %; > 10 times fewer at ζ = 500", SOURCED),
        ("G5", "a network many times larger than a device's memory can be trained in parts",
         "8 times in weights, m = 8", SOURCED),
        ("G6", "of hidden weights (1 - 1/m)^R are never trained in R rounds", "+2 % at most",
         OURS),
        ("G7", "training in parts is faster", ("at equal total epochs, of which each worker has "
         "1/m, and to accuracy: both said"), SOURCED),
        ("C1", "full-graph and sampled training run on one runtime and instruction set",
         "≥ 3 samplers", SOURCED),
        ("C2", "sampled training comes to the accuracy of the full graph, sooner",
         "gap ≤ 0.9 points", SOURCED),
        ("C3", "memory of sampled training does not grow with the graph",
         "± 10 % as N grows 8 times", OURS),
        ("C4", "engines hardly wait for the sampler", "≤ 10 % of the time", OURS),
        ("C5", ("bytes of full-graph and sampled training follow Γ_fg and Γ_mb, and say before "
         "which mode wins"), "within 5 %; right on ≥ 80 % of ≥ 20 configurations", SOURCED),
        ("B1", "input vertices per seed fall as a batch grows, their number being concave in it",
         "2 samplers, 3 graphs", OURS),
        ("B2", "workers that share a batch fetch fewer vertices than with a batch each",
         "≥ 1.4, 2, 3 times at P = 2, 4, 8", SOURCED),
        ("B3", "gradients of a shared batch are those of one worker with all of it",
         "the same bits", OURS),
        ("B4", "draws are uniform for every κ, those of successive batches correlated by cos(π/2κ)",
         "p > 0.01 on 10⁶ draws; ± 0.01", SOURCED),
        ("B5", "dependent batches fetch less, to the same accuracy",
         "≥ 2.5 times less at κ = 256, cache of 1.25 working sets; ± 0.3 points", SOURCED),
        ("B6", "savings of sharing a batch and of dependent ones multiply",
         "≥ 0.8 of the product", OURS),
        ("B7", "sharing a batch is faster than a batch each on the same links",
         "beside the paper's 1.64, over a sweep of bandwidths", SOURCED),
        ("A1", "kinds of parallelism are switches, each by itself", "≥ 6 of 7, each with a test",
         OURS),
        ("A2", "operations counted by the device are those of the model's formula",
         "exactly, GCN, SAGE, GIN", OURS),
        ("A3", "a hub's row ends soon after the others, split over elements",
         "2¹⁴ over 2⁷ edges ≤ 2.5 beyond streaming", OURS),
        ("A4", "time is bounded by W/P + c D, after Brent", "c ≤ 1.5, P = 1 to 16", OURS),
        ("A5", "every kind of parallelism sends the bytes of its formula", "within 1 %", OURS),
        ("A6", "bounded staleness s costs little accuracy, and is bounded",
         "s = 0 the same bits; s = 1 within 0.5 points; never above s", SOURCED),
        ("A7", "a synchronous pipeline of any depth gives the same result",
         "the same bits, depths 1 to 8", OURS),
    )
)  # fmt: skip
