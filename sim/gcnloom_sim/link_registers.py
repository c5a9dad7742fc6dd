# SPDX-License-Identifier: Apache-2.0
"""The register map in front of a model: what a program that knows registers only can do with it."""

from gcnloom.errors import LoomError, ProgramError
from gcnloom.transport import Judged
from gcnloom_sim.model import Model
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import ISA_VERSION
from gcnloom_spec.registers import (
    COUNTER_BASE,
    COUNTERS,
    IDENTITY,
    REGISTERS,
    STATISTICS,
    Access,
    Control,
    Status,
)

__all__ = ["ModelRegisters"]

LOOKS = 3
"""Times that `status` reads as running before a run is carried out, and again after it."""
NAMES = {register.address: name for name, register in REGISTERS.items()}
WORD = 0xFFFFFFFF


class ModelRegisters:
    """Registers of a device whose runs take as long as it is looked at some times.

    Parameters
    ----------
    config : AcceleratorConfig
    memory_words : int

    Attributes
    ----------
    model : Model
        Has the device memory.
    runs : int
        Runs that were started.
    """

    def __init__(self, config: AcceleratorConfig, memory_words: int) -> None:
        self.model = Model(config, memory_words)
        self.runs = 0
        digest = int(config.digest, 16)
        self._values = dict.fromkeys(REGISTERS, 0) | {
            "identity": IDENTITY,
            "isa_version": ISA_VERSION,
            "digest_low": digest & WORD,
            "digest_high": digest >> 32,
        }
        self._looks = 0
        self._waiting = self._finish = self._keep = False
        self._steps: list[int] = []

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self._waiting or self._looks > 0

    def read(self, address: int) -> int:
        """Read a register."""
        if address in NAMES:
            name = NAMES[address]
            if name == "status":
                self._look()
            if REGISTERS[name].access is Access.WRITE:
                return 0
            if name in ("envelope_low", "envelope_high", "saturations"):
                return self._statistic(name)
            if name in ("exponent", "wanted", "shift"):
                row = ("exponent", "wanted", "shift").index(name)
                return int(self.model.scales()[row, self._tensor]) & WORD
            return self._values[name]
        counters = list(self.model.counters().values())
        index = address - COUNTER_BASE
        return counters[index] & WORD if 0 <= index < len(COUNTERS) else 0

    def write(self, address: int, value: int) -> None:
        """Write a register."""
        name = NAMES.get(address)
        if name == "control":
            self._command(Control(value))
        elif name is not None and REGISTERS[name].access is not Access.READ:
            self._values[name] = value

    @property
    def _tensor(self) -> int:
        return self._values["statistic"] % STATISTICS

    def _statistic(self, name: str) -> int:
        envelopes, saturations = self.model.statistics()
        envelope = int(envelopes[self._tensor])
        return {
            "envelope_low": envelope & WORD,
            "envelope_high": envelope >> 32 & WORD,
            "saturations": int(saturations[self._tensor]) & WORD,
        }[name]

    def _command(self, control: Control) -> None:
        if control & Control.RUN:
            self.runs += 1
            self._keep = bool(control & Control.KEEP)
            self._values["progress"] = self._values["step"]
            self._waiting, self._finish, self._looks = True, False, LOOKS
            self._values["status"] = Status.RUNNING
        if control & Control.ABANDON:
            self._waiting, self._looks = False, 0
            self._values["status"] &= ~Status.RUNNING
        self._finish = self._finish or bool(control & Control.FINISH)

    def _look(self) -> None:
        """Go on with the run, if there is one."""
        if self._looks:
            self._looks -= 1
        elif self._waiting:
            self._waiting = False
            self._carry_out()
        if self._steps:
            self._values["progress"] = self._steps.pop(0)
            self._looks = len(self._steps)
        if not self.running:
            self._values["status"] &= ~Status.RUNNING

    def _carry_out(self) -> None:
        values = self._values
        best = values["best_high"] << 32 | values["best_low"]
        steps: list[int] = []
        try:
            ended = self.model.obey(
                values["program_address"], values["program_count"], values["seed"],
                values["step"], judged=Judged(best=best, worse=values["worse"]), keep=self._keep,
                watch=steps.append, finish=lambda: self._finish,
            )  # fmt: skip
        except ProgramError:
            values["status"] |= Status.FAULT
            return
        except LoomError:
            values["status"] |= Status.EXPIRED
            return
        values["worse"] = ended.judged.worse
        values["best_low"] = ended.judged.best & WORD
        values["best_high"] = ended.judged.best >> 32
        self._steps = [*steps[:: max(1, len(steps) // LOOKS)], ended.step]
