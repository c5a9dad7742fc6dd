# SPDX-License-Identifier: Apache-2.0
"""What runs made by hand say of statements."""

from dataclasses import replace

import pytest

from gcnloom.study.shown import shown_of_full_graphs
from gcnloom.study.shown_modes import shown_of_modes
from tests.sw.study.matrix import figures, run

SINGLE = run(8, parallel="single", workers=1)


def found(*runs):
    made = figures(SINGLE, *runs)
    return {each.statement: each for each in (*shown_of_full_graphs(made), *shown_of_modes(made))}


def changed(made, **results):
    """Return a run with other results."""
    return replace(made, result=made.result | results)


def off(made, factor):
    """Return a run that sent so many times what the formula says."""
    parallel = made.result["parallel"]
    kinds = {"activations": {"measured": 100 * factor, "formula": 100}}
    return changed(made, parallel=parallel | {"bytes_per_epoch": kinds})


def test_bytes_are_shown_with_all_numbers_of_workers_only():
    every = [run(4, moved=100.0, workers=workers) for workers in (2, 4, 8, 16)]
    assert found(*every)["M1"].verdict == "shown"
    few = found(*every[:2])["M1"]
    assert (few.verdict, few.why) == ("not shown", "no run with P = 8, 16")
    wrong = found(*(off(each, 1.02) for each in every))
    assert [wrong[name].verdict for name in ("M1", "A5")] == ["refuted", "refuted"]
    assert "2.00 %" in wrong["A5"].measured


def test_other_weights_than_one_devices_refute_and_are_named():
    good, bad = run(4), changed(run(4, parallel="partition"), weights_sha256="other")
    assert found(good)["M2"].verdict == "shown"
    mixed = found(good, bad)["M2"]
    assert mixed.verdict == "not shown"
    assert mixed.why == "other bits: partition on g, 2 workers, seed 0"
    assert found(bad)["M2"].verdict == "refuted"


def test_a_training_of_other_length_is_not_compared_with_one_device():
    assert "M2" not in found(run(4, options=(("epochs", 7),)))


def test_a_stale_training_is_none_of_these():
    stale = changed(run(4, options=(("staleness", 1),)), weights_sha256="other")
    assert {"M1", "M2", "M3"}.isdisjoint(found(stale))
    assert "M7" not in found(stale, run(9, parallel="partition"))


def test_an_uneven_load_refutes():
    uneven = run(4)
    loads = uneven.result["parallel"]["imbalance"] | {"dense_macs": 1.03}
    uneven = changed(uneven, parallel=uneven.result["parallel"] | {"imbalance": loads})
    assert found(run(4))["M3"].verdict == "shown"
    assert found(uneven)["M3"].verdict == "refuted"
    assert "dense MACs 1.030" in found(uneven)["M3"].measured


@pytest.mark.parametrize(("graphs", "verdict"), [(5, "shown"), (4, "not shown")])
def test_throughput_needs_five_graphs(graphs, verdict):
    pairs = [
        run(beats, parallel=kind, graph=f"g{number}")
        for number in range(graphs) for kind, beats in (("mop", 2), ("partition", 5))
    ]  # fmt: skip
    one = found(*pairs)["M7"]
    assert (one.verdict, one.measured) == (
        verdict,
        f"link: 2.5 times, more on {graphs} of {graphs}",
    )


def test_speed_up_of_parts_is_said_both_ways():
    # At equal total epochs 2 * 8 / 4; to accuracy 8 beats over 2 epochs of 4.
    parts = run(4, parallel="gist", validation=(0.1, 0.8))
    text = found(parts)["G7"].measured
    assert text.startswith("4 times at equal total epochs; to accuracy 1 times where reached, in 1")


@pytest.mark.parametrize(("accuracy", "verdict"), [(0.795, "shown"), (0.78, "refuted")])
def test_a_gap_of_sampled_training(accuracy, verdict):
    assert found(run(4, parallel="minibatch", accuracy=accuracy))["C2"].verdict == verdict


def test_a_shared_batch_against_one_each():
    pair = run(3, parallel="cooperative"), run(6, parallel="minibatch")
    one = found(*pair)["B7"]
    assert (one.verdict, one.measured) == ("shown", "link: 2 times, beside 1.64")


def test_few_configurations_show_nothing_of_forecasts():
    one = found(run(4), run(5, parallel="partition"))["C5"]
    assert (one.verdict, one.why) == ("not shown", "few configurations")
    assert "least time of an epoch right in 1 of 1" in one.measured
