# SPDX-License-Identifier: Apache-2.0
"""Bit-exact arithmetic and randomness."""
