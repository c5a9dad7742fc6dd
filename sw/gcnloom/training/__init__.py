# SPDX-License-Identifier: Apache-2.0
"""Training: options, loss, the loop over epochs, checkpoints and what came of it."""
