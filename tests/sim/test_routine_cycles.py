# SPDX-License-Identifier: Apache-2.0
"""Losses, weight steps and whole routines take as many cycles as predicted, within a per cent."""

import pytest

from gcnloom import device as devices
from gcnloom.graphs import datasets
from gcnloom.lower.routine import Training
from gcnloom.programs.program import Program
from gcnloom.programs.routine import Part, Routine
from gcnloom.training.engine import Engine
from gcnloom.training.options import Options
from gcnloom.training.resident import Resident
from gcnloom.training.trainer import first_weights
from gcnloom_sim.cycles import predict, predict_routine
from gcnloom_sim.cycles.routine import passes
from gcnloom_spec.commands import Drain, Emission, Loss, Repeat, Scale
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Rule, Unit

TOLERANCE = 0.01


def _routine(device, data, hidden, *, epochs, every):
    """A training on `device`, ready to run: its engine, its routine."""
    graph = datasets.load(data, seed=0)
    options = Options(epochs=epochs, optimiser="sgd", hidden=hidden)
    network = options.network(graph.features.shape[1], graph.classes)
    engine = Engine(graph, network, device, descends=True)
    resident = Resident(engine, graph, options)
    state = resident.first(first_weights(network, 0))
    nodes = len(graph.train)
    coefficients = [
        masters.coefficients(options, layer, nodes)
        for layer, masters in enumerate(state.masters, start=1)
    ]
    training = Training(engine.lowered, resident.losses, nodes, coefficients)
    wanted = {name: 0 for name in state.wanted}
    return training.routine(wanted, wanted, epochs=epochs, every=every)


def _close(predicted, measured, tolerance=TOLERANCE):
    assert abs(predicted / measured - 1) <= tolerance, (predicted, measured)
