# SPDX-License-Identifier: Apache-2.0
"""Register map: 32-bit registers by word address; the counters follow the controls."""

from dataclasses import dataclass
from enum import IntFlag, StrEnum

from gcnloom_spec.isa import Target, Unit

__all__ = [
    "COMPACT_COUNTERS",
    "COUNTERS",
    "COUNTER_BASE",
    "IDENTITY",
    "MOST_SHIFT",
    "READ_CYCLES",
    "REGISTERS",
    "STATISTICS",
    "Access",
    "Control",
    "Register",
    "Status",
]

IDENTITY = 0x474C4F4D
"""What the register `identity` reads: "GLOM"."""
STATISTICS = 128
"""Tensors whose envelope, saturations and scale are kept."""
MOST_SHIFT = 63
COUNTER_BASE = 32
READ_CYCLES = 16
"""Cycles after a register's address is set until it is read."""


class Access(StrEnum):
    """Who may do what."""

    READ = "read"
    WRITE = "write"
    BOTH = "read, write"


@dataclass(frozen=True)
class Register:
    """One 32-bit register."""

    address: int
    access: Access
    meaning: str


class Control(IntFlag):
    """Bits of the register `control`."""

    RUN = 1
    ABANDON = 2
    FINISH = 4
    KEEP = 8


class Status(IntFlag):
    """Bits of the register `status`."""

    RUNNING = 1
    FAULT = 2
    HAZARD = 4
    EXPIRED = 8


REGISTERS = {
    "identity": Register(0, Access.READ, "0x474C4F4D"),
    "isa_version": Register(1, Access.READ, "version of the command set"),
    "digest_low": Register(2, Access.READ, "configuration digest, low word"),
    "digest_high": Register(3, Access.READ, "configuration digest, high word"),
    "control": Register(
        4,
        Access.WRITE,
        "bit 0: run the program, counters and statistics start at zero; bit 1: abandon it, "
        "after which it still runs until its last read is answered; bit 2: end it at the next "
        "repeat that advances the step; bit 3, with bit 0: statistics go on from what they are",
    ),
    "status": Register(
        5,
        Access.READ,
        "bit 0: running; bit 1: stopped at an unknown opcode; bit 2: an edge came too soon after "
        "one of the same sum, or two of a beat read one operand bank, which no legal program does; "
        "bit 3: nothing moved for as long as the watchdog allows, and the run was abandoned",
    ),
    "program_address": Register(6, Access.WRITE, "first memory word of the program"),
    "program_count": Register(7, Access.WRITE, "commands in the program"),
    "seed": Register(8, Access.WRITE, "first word of the random key"),
    "step": Register(9, Access.WRITE, "second word of the random key"),
    "statistic": Register(
        10, Access.WRITE, "tensor whose statistics are read; valid 4 cycles later"
    ),
    "envelope_low": Register(11, Access.READ, "OR of sign-folded results of that tensor, low word"),
    "envelope_high": Register(12, Access.READ, "the same, high word"),
    "saturations": Register(13, Access.READ, "clipped results of that tensor"),
    "exponent": Register(14, Access.READ, "exponent of that tensor's scale, signed"),
    "wanted": Register(15, Access.READ, "exponent that it is wanted to have, signed"),
    "shift": Register(16, Access.READ, "its shift"),
    "watchdog": Register(
        17, Access.WRITE, "cycles without any movement after which a run is abandoned; 0: never"
    ),
    "progress": Register(18, Access.READ, "step that the run has come to"),
    "loss_low": Register(
        19, Access.READ, "the training nodes' losses in the last record, low word"
    ),
    "loss_high": Register(20, Access.READ, "the same, high word"),
    "worse": Register(21, Access.BOTH, "judged losses since the smallest"),
    "best_low": Register(22, Access.BOTH, "smallest judged loss, low word"),
    "best_high": Register(23, Access.BOTH, "the same, high word; the host sets all ones at first"),
}


def _counters() -> dict[str, str]:
    names = {
        "cycles": "clock cycles from start to the end of the program",
        "commands": "commands dispatched",
    }
    for unit in Unit:
        name = unit.name.lower()
        names[f"{name}_active"] = f"cycles in which {name} moved data"
        names[f"{name}_stalled"] = f"cycles in which {name} executed but could not move data"
        for other in Unit:
            names[f"{name}_wait_{other.name.lower()}"] = (
                f"cycles in which {name} waited for a token of {other.name.lower()}"
            )
    names |= {
        "edges": "valid edges multiplied; each is `lanes` MACs",
        "edge_slots": "beats times PEs, padding included",
        "drain_entries": "drain-order entries read",
        "transform_rows": "rows through the array, passes excluded; each is R x C MACs",
        "program_words": "memory words read for commands",
    }
    names |= {f"{target.name.lower()}_words": "memory words read" for target in Target}
    names |= {
        "loss_words": "memory words that losses read",
        "step_words": "memory words that weight steps read",
        "store_words": "memory words that stores wrote",
        "update_words": "memory words that losses and weight steps wrote",
    }
    return names


COMPACT_COUNTERS = ("cycles", "commands")
"""What compact accelerators count; their other counters stay zero, as do their registers of judged
losses."""
COUNTERS = _counters()
"""Counter name to meaning; counter `i` is the register at ``COUNTER_BASE + i``."""
