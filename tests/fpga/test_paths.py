# SPDX-License-Identifier: Apache-2.0
"""Estimated paths of a small placed design, against delays added up by hand."""

import pytest

from gcnloom_fpga.paths import longest_paths


def cell(kind, place, parameters=(), **connections):
    outputs = {"Q", "F", "P0", "DOA0"}
    return {
        "type": kind,
        "parameters": dict(parameters),
        "attributes": {"NEXTPNR_BEL": f"X{place[0]}/Y{place[1]}/BEL"},
        "connections": {port: [bit] for port, bit in connections.items()},
        "port_directions": {port: "output" if port in outputs else "input" for port in connections},
    }


def design(**cells):
    bits = {bit for entry in cells.values() for (bit,) in entry["connections"].values()}
    names = {f"net{bit}": {"bits": [bit]} for bit in bits}
    return {"modules": {"top": {"cells": cells, "netnames": names}}}


def test_a_path_is_clock_to_output_wires_and_logic():
    placed = design(
        source=cell("TRELLIS_FF", (0, 0), Q=1, CLK=9),
        table=cell("TRELLIS_COMB", (3, 0), A=1, F=2),
        sink=cell("TRELLIS_FF", (3, 10), M=2, CLK=9),
    )
    (path,) = longest_paths(placed, most=5, slow=3.0)
    assert path.end == "sink"
    # 0.52, a wire of 3 tiles, a table, a wire of 10 tiles.
    assert path.nanoseconds == pytest.approx(0.52 + 0.075 * 12 + 0.24 + 0.075 * 21)
    assert path.ends == 1
    assert [fanout for _, _, fanout in path.steps] == [1, 1]


def test_the_slowest_group_comes_first_and_its_ends_are_counted():
    placed = design(
        memory=cell("DP16KD", (0, 0), DOA0=1),
        source=cell("TRELLIS_FF", (0, 0), Q=2),
        **{f"near_TRELLIS_FF_Q_{i}": cell("TRELLIS_FF", (1, 0), M=2) for i in range(3)},
        **{f"far_TRELLIS_FF_Q_{i}": cell("TRELLIS_FF", (40, 0), M=1) for i in range(2)},
    )
    far, near = longest_paths(placed, most=5, slow=5.0)
    assert (far.end, far.ends) == ("far", 2)
    assert (near.end, near.ends) == ("near", 0)
    assert far.nanoseconds > near.nanoseconds


def test_a_loop_of_logic_ends_the_search():
    placed = design(
        one=cell("TRELLIS_COMB", (0, 0), A=2, F=1),
        other=cell("TRELLIS_COMB", (1, 0), A=1, F=2),
        sink=cell("TRELLIS_FF", (2, 0), M=2),
    )
    assert longest_paths(placed, most=1, slow=1.0)[0].end == "sink"


def test_registers_inside_block_ram_and_multiplier_end_and_begin_paths():
    registered = {"REG_OUTPUT_CLK": "CLK0"}
    placed = design(
        memory=cell("DP16KD", (0, 0), {"REGMODE_A": "OUTREG"}, DOA0=1),
        product=cell("MULT18X18D", (10, 0), registered, A0=1, P0=2),
        sink=cell("TRELLIS_FF", (20, 0), M=2),
    )
    into, out_of = longest_paths(placed, most=5, slow=1.0)
    wire = 0.075 * (6 + 5 + 2 * 5)
    # Without registers before it, all of the multiplication comes before the product's.
    assert (into.end, into.nanoseconds) == ("product", pytest.approx(1.0 + wire + 3.9))
    assert (out_of.end, out_of.nanoseconds) == ("sink", pytest.approx(1.0 + wire))
