# SPDX-License-Identifier: Apache-2.0
"""Multiplications beyond a part's multipliers go to look-up tables: which ones, and how.

yosys maps every product that is wide enough to a multiplier, however few the part has. Products
that are to stay out get the type that yosys itself gives to products too small for one: the pass
that makes multipliers steps over them, and ``synth_*`` makes them products again behind it.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gcnloom_fpga.tools import cached, run
from gcnloom_spec.toolchain import Tool

__all__ = ["LARGEST_OPERAND", "Product", "beyond", "limit_multipliers"]

LARGEST_OPERAND = {"ecp5": 18, "ice40": 16, "gowin": 18}
"""Family to the bits of an operand of one multiplier."""
SPARSE_ENGINE = "aggregate"
DESIGN = "design.il"
PRODUCTS = "products.txt"
DUMPED = re.compile(r"cell \$mul (\S+)\n((?: *parameter .*\n)*)")
WIDTH = re.compile(r"parameter \\([AB])_WIDTH (\d+)")


@dataclass(frozen=True, kw_only=True)
class Product:
    """A multiplication of a flattened design.

    Parameters
    ----------
    name : str
        yosys' name of the cell, which begins with the path to it.
    a, b : int
        Bits of the operands.
    """

    name: str
    a: int
    b: int

    def multipliers(self, largest: int) -> int:
        """How many multipliers it takes, of operands of at most `largest` bits."""
        return math.ceil(self.a / largest) * math.ceil(self.b / largest)

    @property
    def path(self) -> tuple[str | int, ...]:
        """Where it is, with numbers as numbers: the second of twelve comes before the tenth."""
        parts = re.split(r"(\d+)", self.name)
        return tuple(int(part) if part.isdigit() else part for part in parts)


def beyond(products: Sequence[Product], *, most: float, largest: int) -> list[Product]:
    """Choose the products that go to look-up tables, so that the others take `most` multipliers.

    First those that cost the fewest tables for each multiplier saved; of equal ones those of the
    sparse engine, element by element, so that an engine is whole or gone but for one element.
    """
    if most < 0:
        raise ValueError(f"most={most} multipliers cannot be; give zero or more")
    excess = sum(product.multipliers(largest) for product in products) - most

    def price(product: Product) -> tuple[float, bool, tuple[str | int, ...]]:
        tables = product.a * product.b / product.multipliers(largest)
        return tables, f"\\{SPARSE_ENGINE}." not in product.name, product.path

    chosen = []
    for product in sorted(products, key=price):
        if excess <= 0:
            break
        chosen.append(product)
        excess -= product.multipliers(largest)
    return chosen


def limit_multipliers(tool: Tool, text: str, top: str, family: str, *, most: float) -> str:
    """Commands for yosys that leave a design at most `most` multipliers.

    They belong between the steps "begin" and "coarse" of ``synth_*``: before, newer versions miss
    a module of the type that is left alone.

    Parameters
    ----------
    tool : Tool
        The yosys that will run them; it is asked for the design's products first.
    text : str
        RTLIL of the design.
    top : str
        Its top module.
    family : str
        Of :data:`LARGEST_OPERAND`.
    most : float

    Returns
    -------
    str
        Commands with ``;`` between; empty if there are multipliers enough.
    """
    flat = f"hierarchy -top {top}; proc; flatten"

    def produce(folder: Path) -> None:
        (folder / DESIGN).write_text(text, encoding="utf-8")
        script = f"read_rtlil {DESIGN}; {flat}; wreduce t:$mul; tee -q -o {PRODUCTS} dump t:$mul"
        run(tool, ("-q", "-p", script), folder=folder)

    folder = cached((text, tool.version, top, PRODUCTS), produce)
    products = _read((folder / PRODUCTS).read_text(encoding="utf-8"))
    chosen = beyond(products, most=most, largest=LARGEST_OPERAND[family])
    if not chosen:
        return ""
    # A backslash of a name would escape what follows it; a question mark stands for any character.
    names = [product.name.replace("\\", "?") for product in chosen]
    return "; ".join([flat, *(f"chtype -set $__soft_mul c:{name}" for name in names)])


def _read(dump: str) -> list[Product]:
    """Products that yosys lists."""
    found = []
    for name, parameters in DUMPED.findall(dump):
        widths = {operand: int(bits) for operand, bits in WIDTH.findall(parameters)}
        found.append(Product(name=name, a=widths["A"], b=widths["B"]))
    return found
