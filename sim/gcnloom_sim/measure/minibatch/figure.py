# SPDX-License-Identifier: Apache-2.0
"""A number that prints as a table wants it."""

__all__ = ["Figure"]


class Figure(float):
    """A float with a format.

    Parameters
    ----------
    value : float
    form : str
        As :func:`format` takes it.
    unit : str
        Printed behind.

    Examples
    --------
    >>> str(Figure(94.632, ".1f", " %"))
    '94.6 %'
    """

    def __new__(cls, value: float, form: str = ".2f", unit: str = "") -> "Figure":
        """Keep the value whole."""
        figure = super().__new__(cls, value)
        figure._text = f"{value:{form}}{unit}"
        return figure

    _text: str

    @classmethod
    def read(cls, text: str) -> "Figure | str":
        """Return what prints as `text`, if that begins with a number and has a unit at most."""
        number, _, unit = text.partition(" ")
        try:
            figure = cls(float(number.replace(",", "")))
        except ValueError:
            return text
        figure._text = text
        return figure if len(unit.split()) < 2 else text

    def __str__(self) -> str:
        return self._text
