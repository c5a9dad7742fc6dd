# SPDX-License-Identifier: Apache-2.0
"""Timeline of the dense engine: a pipeline in front of its epilogue."""

from gcnloom_sim.cycles.epilogue import Ended, EpilogueUnit
from gcnloom_sim.cycles.timing import Timing
from gcnloom_spec.commands import Emission, Transform

__all__ = ["TransformUnit"]

QUIET = Emission(vectors=0)


class TransformUnit:
    """The dense engine; its commands are timed as a whole.

    A command goes to the engine and its emission to the epilogue, each when it is free, and
    the next command when both have been taken: the engine is ahead by what the epilogue holds.

    Parameters
    ----------
    timing : Timing
    epilogue : EpilogueUnit
    """

    def __init__(self, timing: Timing, epilogue: EpilogueUnit) -> None:
        self._timing, self._epilogue = timing, epilogue
        self._engine_free = 0.0
        self.active = 0.0
        self.stalled = 0.0

    def run(self, command: Transform, ready: float) -> tuple[float, float, Ended]:
        """Execute; return when the command left its queue, when its results were handed on.

        The third result is the stores that ended with them.
        """
        issue = self._timing.transform(command)
        accepted = max(ready, self._engine_free)
        first, last = accepted + issue.first, accepted + issue.last
        described = self._epilogue.open(command.emission if command.last else QUIET, ready)
        latency = self._timing.transform_latency
        ended = self._epilogue.issue(issue.beats, first + latency, last + latency)
        done = self._epilogue.close()
        held = max(last, self._epilogue.held(self._timing.transform_depth))
        self._engine_free = accepted + issue.cycles + held - last
        self.active += issue.active
        self.stalled += held - last
        return max(accepted, described), done, ended
