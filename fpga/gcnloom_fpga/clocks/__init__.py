# SPDX-License-Identifier: Apache-2.0
"""From a board's oscillator to the accelerator's clock."""
