# SPDX-License-Identifier: Apache-2.0
"""When pages of device memory are touched next, as far as programs repeat."""

import numpy as np
from numpy.typing import NDArray

from gcnloom.programs.segments import NEVER, Segment
from gcnloom.transport.plans import Plan

__all__ = ["Forecast"]

MOST_PLANS = 16
"""Programs that are remembered."""


class Forecast:
    """Say of each page in how many segments it is touched again.

    The rest of a program is known. Behind it comes what came behind it last time, and so on, once
    around: a training repeats its passes.
    """

    def __init__(self) -> None:
        self._plans: dict[bytes, Plan] = {}
        self._after: dict[bytes, bytes] = {}
        self._last: bytes | None = None
        self._due = self._later = np.zeros(0, dtype=np.int64)

    def known(self, key: bytes) -> Plan | None:
        """Plan of that key, if it is remembered."""
        return self._plans.get(key)

    def begin(self, plan: Plan) -> None:
        """Start a program."""
        self._plans[plan.key] = self._plans.pop(plan.key, plan)
        if len(self._plans) > MOST_PLANS:
            del self._plans[next(iter(self._plans))]
        if self._last is not None:
            self._after[self._last] = plan.key
        self._last = plan.key
        chain = self._chain(plan)
        pages = max(len(each.first) for each in [plan, *chain])
        self._later = np.full(pages, NEVER)
        starts = np.cumsum([len(each.segments) for each in [plan, *chain]])
        for each, start in reversed(list(zip(chain, starts.tolist(), strict=False))):
            touched = np.flatnonzero(each.first != NEVER)
            self._later[touched] = start + each.first[touched]
        self._due = self._later.copy()
        touched = np.flatnonzero(plan.first != NEVER)
        self._due[touched] = plan.first[touched]

    def passed(self, segment: Segment) -> None:
        """Go on behind a segment of the program."""
        again = segment.following != NEVER
        pages = segment.pages
        self._due[pages] = np.where(again, segment.following, self._later[pages])

    def due(self, pages: NDArray[np.int64]) -> NDArray[np.int64]:
        """Segment that touches each page next, counted from the program's first.

        A page below 0 is none, which no segment touches.
        """
        found = np.full(len(pages), NEVER)
        known = (pages >= 0) & (pages < len(self._due))
        found[known] = self._due[pages[known]]
        return found

    def _chain(self, plan: Plan) -> list[Plan]:
        """Plans that are likely to follow, up to the first that comes again."""
        chain: list[Plan] = []
        keys = {plan.key}
        key = self._after.get(plan.key)
        while key is not None and key in self._plans:
            chain.append(self._plans[key])
            if key in keys:
                break
            keys.add(key)
            key = self._after.get(key)
        return chain
