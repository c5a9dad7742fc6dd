# SPDX-License-Identifier: Apache-2.0
"""The truth and the instruments: golden model, bit-exact model, Verilated executor, benches."""
