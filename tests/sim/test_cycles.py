# SPDX-License-Identifier: Apache-2.0
"""Predicted cycles are those of the Verilated accelerator, within five per cent."""

import pytest

from gcnloom import device as devices
from gcnloom_sim.cycles import predict
from gcnloom_sim.cycles.cases import cases

TOLERANCE = 0.05


@pytest.mark.sim
@pytest.mark.parametrize("name", ["odd"])
def test_every_kind_of_command_takes_as_long_as_predicted(name):
    wrong = []
    with devices.open(f"rtl:{name}", memory_megabytes=1) as device:
        for case in cases(device.config, counts=(40, 120)):
            program, counters = case.measure(device)
            predicted = predict(program, device.config).cycles
            if abs(predicted / counters["cycles"] - 1) > TOLERANCE:
                wrong.append((case.name, case.count, predicted, counters["cycles"]))
    assert not wrong
