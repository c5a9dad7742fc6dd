# SPDX-License-Identifier: Apache-2.0
"""Bit-exact model: executes programs in program order, knows nothing of cycles."""

from gcnloom_sim.model.machine import Model, open_model

__all__ = ["Model", "open_model"]
