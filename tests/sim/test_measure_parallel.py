# SPDX-License-Identifier: Apache-2.0
"""The table of what workers exchange: measured bytes are those of the formula beside them."""

from itertools import pairwise

from gcnloom.training.options import Options
from gcnloom_sim.measure.parallel import EXCHANGED, exchanged


def test_every_row_has_its_formula():
    settings = Options(update="host", hidden=4, epochs=1, sampled=False)
    said = []
    rows = [row.cells() for row in exchanged("sbm:24,2", "model:odd", [2], settings, said.append)]
    assert [row[:2] for row in rows] == [(2, "mop"), (2, "partition")]
    assert len(said) == 3
    for row in rows:
        assert len(row) == len(EXCHANGED)
        for column, (name, after) in enumerate(pairwise(EXCHANGED)):
            if after == "formula":
                assert row[column] == row[column + 1], name
