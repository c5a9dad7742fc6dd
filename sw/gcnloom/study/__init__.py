# SPDX-License-Identifier: Apache-2.0
"""Studies: a matrix of trainings, and what it shows of the statements made about them."""
