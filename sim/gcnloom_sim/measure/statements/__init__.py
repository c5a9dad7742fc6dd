# SPDX-License-Identifier: Apache-2.0
"""Statements about one device, each measured on its own graphs and configurations."""
