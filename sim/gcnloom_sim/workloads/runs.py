# SPDX-License-Identifier: Apache-2.0
"""Epochs of a run that stays on the device: predicted and measured."""

from collections import Counter

from gcnloom.device import Device
from gcnloom.graphs.graph import Graph
from gcnloom.lower.routine import Coefficients, Training
from gcnloom.programs.routine import Routine
from gcnloom.training.device_trainer import DeviceTrainer
from gcnloom.training.options import Options
from gcnloom_sim.cycles.prediction import Prediction
from gcnloom_sim.cycles.routine import predict_routine
from gcnloom_spec.descent import Coefficient

__all__ = ["RUN_EPOCHS", "per_epoch", "predicted_epochs", "routine_of"]

RUN_EPOCHS = 10
"""Epochs of the run whose counters are divided by them."""


def routine_of(graph: Graph, options: Options, device: Device) -> tuple[DeviceTrainer, Routine]:
    """Lower a run; how long it takes does not depend on its coefficients and scales."""
    trainer = DeviceTrainer(graph, options, device)
    engine = trainer.engine
    none = Coefficient.of(0.0)
    coefficients = Coefficients(rate=none, decay=none, momentum=0)
    training = Training(
        engine.lowered, trainer.resident.losses, len(graph.train),
        [coefficients] * engine.network.layers,
    )  # fmt: skip
    return trainer, training.routine({}, {}, epochs=options.epochs)


def predicted_epochs(routine: Routine, memory: str) -> Prediction:
    """Predict an epoch of a run."""
    whole = predict_routine(routine, memory)
    active, waiting, stalled = (
        {name: round(cycles / RUN_EPOCHS) for name, cycles in units.items()}
        for units in (whole.active, whole.waiting, whole.stalled)
    )
    return Prediction(
        cycles=round(whole.cycles / RUN_EPOCHS), active=active, waiting=waiting, stalled=stalled
    )


def per_epoch(trainer: DeviceTrainer) -> Counter[str]:
    """Run, and return what an epoch counted."""
    trainer.run()
    counted = trainer.engine.counters["training"]
    return Counter({name: round(count / RUN_EPOCHS) for name, count in counted.items()})
