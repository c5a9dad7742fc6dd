# SPDX-License-Identifier: Apache-2.0
"""The sparse aggregation engine."""
