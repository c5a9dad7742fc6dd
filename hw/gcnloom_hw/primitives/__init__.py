# SPDX-License-Identifier: Apache-2.0
"""Cells of single vendors, each with a twin that any simulator and any vendor's tool takes."""
