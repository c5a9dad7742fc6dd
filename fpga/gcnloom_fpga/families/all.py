# SPDX-License-Identifier: Apache-2.0
"""Every family by its name."""

from collections.abc import Mapping

from gcnloom_fpga.families.ecp5 import Ecp5
from gcnloom_fpga.families.family import Family
from gcnloom_fpga.families.gowin import Gowin
from gcnloom_fpga.families.ice40 import Ice40

__all__ = ["FAMILIES"]

FAMILIES: Mapping[str, Family] = {"ecp5": Ecp5(), "ice40": Ice40(), "gowin": Gowin()}
"""By :attr:`gcnloom_fpga.part.Part.family`."""
