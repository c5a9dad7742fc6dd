# SPDX-License-Identifier: Apache-2.0
"""What differs between vendors in building a bitstream."""
