# SPDX-License-Identifier: Apache-2.0
"""Lowering: products, layers and networks to programs."""
