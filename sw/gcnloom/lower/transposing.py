# SPDX-License-Identifier: Apache-2.0
"""The transpose of a matrix in device memory, as a product on the systolic array."""

from gcnloom.lower.builder import Builder, Tensor, aligned
from gcnloom.lower.dense import group_panels, groups, steps_of, tiles
from gcnloom_spec.commands import Emission, Store, Transform
from gcnloom_spec.isa import Mode, Source, Target

__all__ = ["transpose"]


def transpose(
    builder: Builder, matrix: Tensor, identity: Tensor, output: Tensor, *, first: int = 0,
    target: int = 0,
) -> None:  # fmt: skip
    """Lower ``output = matrix.T @ identity``, which leaves every mantissa as it is.

    As many rows of the matrix as the identity has count, from the `first` on; rows of the output
    are made from `target` on.

    The rows of a panel leave in the array's blocks but lie side by side, as a right operand does:
    they are one store.
    """
    config, layout = builder.config, output.layout
    tile = aligned(min(config.left_depth, config.right_depth) // 2, config)
    for group in groups(identity, config):
        for bank, panel in enumerate(group_panels(identity, group, config)):
            steps = range(steps_of(matrix.features, config))
            vectors = len(steps) * config.rows
            builder.add(
                Store(
                    source=Source.TRANSFORM,
                    count=vectors,
                    address=layout.panel_address(panel, target),
                )
            )
            for step in steps:
                left_group, piece = divmod(step, config.left_slices)
                for rows in tiles(range(identity.rows), tile):
                    last = rows.stop == identity.rows
                    taken = range(first + rows.start, first + rows.stop)
                    emission = Emission(vectors=config.rows if last else 0, store=int(last))
                    builder.add(
                        Transform(
                            mode=Mode.OUTPUT_STATIONARY, slice=piece,
                            left_base=builder.rows(Target.LEFT, matrix, left_group, taken),
                            right_base=builder.rows(Target.RIGHT, identity, group, rows),
                            count=len(rows), first=int(rows.start == 0), last=int(last),
                            bank=bank, emission=emission,
                        )
                    )  # fmt: skip
