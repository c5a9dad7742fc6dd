# SPDX-License-Identifier: Apache-2.0
"""Cycle prediction: how long a program takes, from its commands and the configuration."""

from gcnloom_sim.cycles.timeline import Prediction, predict

__all__ = ["Prediction", "predict"]
