# SPDX-License-Identifier: Apache-2.0
"""Graphs: data sets, files, normalisation, and how they are cut."""
