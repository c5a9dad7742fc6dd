# SPDX-License-Identifier: Apache-2.0
"""Options that cannot train are refused before anything is built."""

import json

import numpy as np
import pytest

from gcnloom.errors import ConfigError
from gcnloom.training.options import Options

BAD = [
    ({"hidden": 0}, "hidden=0 is no number from 1 on; try 1"),
    ({"hidden": 2.5}, "hidden=2.5"),
    ({"layers": -1}, "layers=-1"),
    ({"layers": 11}, "11 layers are more than the device keeps statistics for; try at most 10"),
    ({"epochs": 0}, "epochs=0"),
    ({"epochs": True}, "epochs=True"),
    ({"patience": -1}, "patience=-1 is no number from 0 on; try 0"),
    ({"seed": -1}, r"seed=-1 is outside 0\.\.2\*\*32-1"),
    ({"seed": 1 << 32}, "seed=4294967296"),
    ({"seed": "1"}, "seed='1'"),
    ({"sampled": 1}, "sampled=1 is no truth value; try True"),
    ({"serial": 1}, "serial=1 is no truth value; try False"),
    ({"optimiser": "rmsprop"}, "optimiser='rmsprop' is unknown; try adam or sgd"),
    ({"rounding": "up"}, "rounding='up' is unknown; try nearest or stochastic"),
    ({"lr": 0.0}, "lr=0.0 does not learn"),
    ({"lr": -0.1}, "lr=-0.1"),
    ({"lr": float("nan")}, "lr=nan is not a finite number"),
    ({"lr": float("inf")}, "lr=inf is not a finite number"),
    ({"lr": "fast"}, "lr='fast' is not a finite number"),
    ({"dropout": True}, "dropout=True is not a finite number"),
    ({"weight_decay": -1e-3}, r"weight_decay=-0\.001 is outside"),
    ({"weight_decay": float("nan")}, "weight_decay=nan"),
    ({"update": "fpga"}, "update='fpga' is unknown; try device or host"),
    ({"optimiser": "adam"}, "optimiser='adam' is the host's; try 'sgd', or update='host'"),
    ({"patience": 5}, "patience=5 needs validation on the device; try validate_every=10"),
    ({"halve_every": 60}, "halve_every=60 is no power of two from 2; try 64"),
    ({"update": "host", "validate_every": 5}, "validate_every=5 is for weights that the device"),
    ({"optimiser": "sgd", "momentum": 1.0}, r"momentum=1\.0 is outside"),
    ({"momentum": float("inf")}, "momentum=inf"),
    ({"dropout": 1.0}, r"dropout 1\.0 is outside 0 to below 1; try 0\.5"),
    ({"dropout": 0.999}, r"dropout 0\.999"),
    ({"dropout": -0.1}, r"dropout -0\.1"),
    ({"dropout": float("nan")}, "dropout=nan"),
]


@pytest.mark.parametrize(("values", "message"), BAD, ids=[str(values) for values, _ in BAD])
def test_an_impossible_option_is_named_with_its_value_and_a_remedy(values, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Options(**values)
    assert caught.value.remedy


def test_numbers_of_numpy_become_pythons_which_checkpoints_can_hold():
    options = Options(hidden=np.int64(7), lr=np.float32(0.5), seed=np.uint8(3))
    assert json.loads(json.dumps(options.as_dict())) == Options(hidden=7, lr=0.5, seed=3).as_dict()
    with pytest.raises(ConfigError, match="hidden=True"):
        Options(hidden=np.bool_(True))


def test_the_network_has_the_widths_asked_for():
    assert Options(hidden=7, layers=3).network(9, 4).widths == (9, 7, 7, 4)
    assert Options(layers=1).network(9, 4).widths == (9, 4)
    assert Options(rounding="stochastic").network(1, 1).stochastic
    assert Options(dropout=0.5).network(1, 1).kept == 0.5


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_only_the_first_layer_decays(optimiser):
    options = Options(update="host", optimiser=optimiser, layers=2, lr=0.1, weight_decay=0.5)
    ones, zeros = [np.ones((2, 2)), np.ones((2, 2))], [np.zeros((2, 2)), np.zeros((2, 2))]
    first, second = options.make_optimiser().step(ones, zeros)
    assert (first < 1).all()
    assert (second == 1).all()


def test_differences_name_both_values_and_skip_what_may_change():
    options = Options(lr=0.1, epochs=5)
    other = Options(lr=0.2, epochs=9, patience=3, validate_every=1).as_dict()
    assert options.differences(other, ignore=("epochs", "patience", "validate_every")) == [
        "lr=0.2 not 0.1"
    ]
    assert len(options.differences(other, ignore=())) == 4
