# SPDX-License-Identifier: Apache-2.0
"""Sequencing, dependence tokens, status."""
