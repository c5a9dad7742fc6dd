# SPDX-License-Identifier: Apache-2.0
"""Cycle prediction: how long a program takes, from its commands and the configuration."""

from gcnloom_sim.cycles.prediction import Prediction, predict
from gcnloom_sim.cycles.routine import predict_routine

__all__ = ["Prediction", "predict", "predict_routine"]
