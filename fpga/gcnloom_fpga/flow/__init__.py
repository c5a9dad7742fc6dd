# SPDX-License-Identifier: Apache-2.0
"""From a board's top to its bitstream and report, step by step and each step kept."""
