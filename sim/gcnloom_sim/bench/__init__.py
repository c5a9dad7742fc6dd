# SPDX-License-Identifier: Apache-2.0
"""cocotb agents and the harness that builds and runs benches on Verilator."""
