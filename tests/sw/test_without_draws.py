# SPDX-License-Identifier: Apache-2.0
"""A device that draws no random bytes trains where none are wanted, and says so where some are."""

from dataclasses import replace

import numpy as np
import pytest

from gcnloom.device import open as open_device
from gcnloom.errors import ConfigError, ProgramError
from gcnloom.graphs import datasets
from gcnloom.training.trainer import Trainer
from gcnloom.training.weights import weights_sha256
from gcnloom_sim.model.epilogue import Epilogue
from gcnloom_sim.model.scales import Scales
from gcnloom_spec.commands import Emission
from gcnloom_spec.config import AcceleratorConfig
from tests.sw.host import host_options

PLAIN = AcceleratorConfig.from_toml("odd")
CONFIG = replace(PLAIN, without_draws=1)


def train(config, path, **options):
    path.write_text(config.to_toml())
    graph = datasets.load("sbm:60,3", seed=0)
    with open_device(f"model:{path}", memory_megabytes=1) as device:
        trainer = Trainer(graph, host_options(epochs=2, hidden=4, seed=5, **options), device)
        trainer.run()
    return weights_sha256(trainer.weights)


def test_without_dropout_it_trains_to_the_bits_of_a_device_that_draws(tmp_path):
    path = tmp_path / "config.toml"
    assert train(CONFIG, path, dropout=0) == train(PLAIN, path, dropout=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "dropout needs random bytes, .* try dropout=0, or a configuration with"),
        (
            {"dropout": 0, "rounding": "stochastic"},
            "stochastic rounding needs random bytes, .* try rounding='nearest', or",
        ),
    ],
)
def test_a_training_that_draws_is_refused(options, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        train(CONFIG, tmp_path / "config.toml", **options)


@pytest.mark.parametrize("flags", [{"dropout": 1, "threshold": 3}, {"stochastic": 1}])
def test_an_emission_that_draws_is_refused_by_the_model(flags):
    epilogue = Epilogue(CONFIG, Scales(CONFIG))
    sums = np.ones((1, CONFIG.lanes), dtype=np.int64)
    with pytest.raises(ProgramError, match="draw no random bytes; try neither"):
        epilogue.apply(Emission(vectors=1, **flags), sums, sums > 0)
