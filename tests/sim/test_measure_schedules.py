# SPDX-License-Identifier: Apache-2.0
"""The table of schedules: a row for every matrix, number of PEs and feed, and its sums."""

from gcnloom_sim.measure.schedules import SCHEDULES, schedule_rows


def test_every_row_adds_up():
    rows = [dict(zip(SCHEDULES, row, strict=True)) for row in schedule_rows(["sbm:60,2"], [2, 3])]
    assert [row["matrix"] for row in rows[::6]] == ["sbm:60,2 X", "sbm:60,2 Xᵀ", "sbm:60,2 Â"]
    assert [row["feed"] for row in rows[:3]] == ["copies", "banks", "banks, ordered"]
    assert [row["PEs"] for row in rows[:6]] == [2, 2, 2, 3, 3, 3]
    for row in rows:
        assert row["bound"] + row["imbalance"] + row["hazards"] == row["beats"]
        ideal = row["bound"] - row["rounding"] - row["banks"]
        assert float(row["beats / (edges / P)"]) * ideal <= 1.02 * row["beats"]
