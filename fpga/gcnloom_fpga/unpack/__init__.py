# SPDX-License-Identifier: Apache-2.0
"""An iCE40's bitstream back to Verilog."""
