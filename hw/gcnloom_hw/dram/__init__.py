# SPDX-License-Identifier: Apache-2.0
"""SDR SDRAM as device memory."""
