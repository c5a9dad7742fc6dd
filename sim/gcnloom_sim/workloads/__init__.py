# SPDX-License-Identifier: Apache-2.0
"""Named workloads, measured on the RTL and held against prediction and ideal."""
