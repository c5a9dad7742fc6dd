# SPDX-License-Identifier: Apache-2.0
"""Synthesis, placement and routing of an accelerator for Lattice ECP5, with reports."""
