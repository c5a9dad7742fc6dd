# SPDX-License-Identifier: Apache-2.0
"""Design-space search: the configuration that is fastest for a workload within given resources."""
