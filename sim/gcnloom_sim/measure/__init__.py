# SPDX-License-Identifier: Apache-2.0
"""Measurements that the documentation quotes: ``python -m gcnloom_sim.measure WHAT``."""
