# SPDX-License-Identifier: Apache-2.0
"""What sampled training is said to do, measured: vertices, bytes, draws, memory, accuracy."""
