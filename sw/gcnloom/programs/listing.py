# SPDX-License-Identifier: Apache-2.0
"""Human assembly: one line a command."""

from collections.abc import Mapping, Sequence

from gcnloom_spec.commands import (
    Aggregate,
    Command,
    Drain,
    Emission,
    Load,
    Loss,
    Repeat,
    Scale,
    Step,
    Store,
    Transform,
)
from gcnloom_spec.isa import Destination, Mode, Rule, Source, Target, Unit

__all__ = ["listing"]

MODES = {
    Mode.WEIGHT_STATIONARY: "ws",
    Mode.OUTPUT_STATIONARY: "os",
    Mode.PASS: "pass",
}


def listing(commands: Sequence[Command | Repeat], tensors: Mapping[int, str]) -> str:
    """Text of `commands` with aligned index, opcode and operands; `tensors` names tensor ids."""
    rows = [
        (str(index), command.opcode.name.lower(), _operands(command, tensors), _tokens(command))
        for index, command in enumerate(commands)
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    return "\n".join(
        f"{index:>{widths[0]}}  {opcode:<{widths[1]}}  {operands:<{widths[2]}}  {tokens}".rstrip()
        for index, opcode, operands, tokens in rows
    )


def _operands(command: Command | Repeat, tensors: Mapping[int, str]) -> str:
    match command:
        case Load():
            target = Target(command.target).name.lower()
            bank = f".{command.bank}" if command.target in (Target.LEFT, Target.RIGHT) else ""
            return f"{target}{bank} {command.base}+{command.count}  from {command.address:#x}"
        case Aggregate():
            edges = f"edges {command.edge_base}+{command.count}"
            return f"{edges}  operand {command.operand_base}  slots {command.slot_base}"
        case Drain():
            emission = _emission(command.emission, tensors)
            order = f"order {command.order_base}+{command.count}"
            return f"{order}  slots {command.slot_base}  -> {emission}"
        case Transform():
            return _transform(command, tensors)
        case Store():
            raw = " raw" if command.raw else ""
            source = Source(command.source).name.lower()
            return f"{source} {command.count}{raw}  to {command.address:#x}"
        case Loss() | Step() | Scale():
            return _update(command, tensors)
        case Repeat():
            return _repeat(command)


def _update(command: Loss | Step | Scale, tensors: Mapping[int, str]) -> str:
    name = tensors.get(command.tensor, f"t{command.tensor}")
    if isinstance(command, Loss):
        gradient = f"  {name} to {command.gradients:#x}" if command.gradient else ""
        rows = f"{command.count} rows of {command.classes}  from {command.address:#x}"
        return f"{rows}  record {command.record:#x}{gradient}" + "  judged" * command.judged
    if isinstance(command, Step):
        source = Source(command.source).name.lower()
        return f"{source} {command.count}  {name} {command.address:#x}  to {command.operands:#x}"
    if command.rule == Rule.SET:
        return f"{name} at {command.exponent}, wanted at {command.wanted}"
    left, right = (tensors.get(key, f"t{key}") for key in (command.left, command.right))
    return f"{name} as {left}" if command.rule == Rule.SAME else f"{name} of {left} + {right}"


def _repeat(command: Repeat) -> str:
    parts = [f"{command.target_count} from +{command.target:#x} x{command.passes}"]
    parts = parts if command.passes > 1 else []
    parts += ["advance"] if command.advance else []
    parts += [f"patience {command.patience}"] if command.patience else []
    if command.following_count:
        parts.append(f"then {command.following_count} from +{command.following:#x}")
    return "  ".join(parts)


def _transform(command: Transform, tensors: Mapping[int, str]) -> str:
    parts = [MODES[Mode(command.mode)]]
    if command.mode == Mode.PASS:
        parts.append(f"sums {command.sum_base}+{command.count}")
    else:
        part = f".{command.slice}" if command.slice else ""
        parts += [
            f"left {command.left_base}{part}+{command.count}",
            f"right {command.right_base}",
            f"sums {command.sum_base}",
        ]
        parts += ["first"] if command.first else []
    if command.last:
        bank = f" bank {command.bank}" if command.bank else ""
        parts.append(f"last{bank} -> {_emission(command.emission, tensors)}")
    return "  ".join(parts)


def _emission(emission: Emission, tensors: Mapping[int, str]) -> str:
    name = tensors.get(emission.tensor, f"t{emission.tensor}")
    how = [name, f"[{emission.row}+{emission.vectors}, {emission.feature}]"]
    steps = []
    if emission.relu:
        steps.append("relu")
    if emission.mask:
        steps.append(f"mask {emission.mask_base}")
    if emission.dropout:
        steps.append(f"dropout {emission.threshold}/256")
    noise = " stochastic" if emission.stochastic else ""
    shift = "scaled" if emission.scaled else f">>{emission.shift}"
    steps.append("raw" if emission.raw else f"{shift}{noise}")
    how.append(f"({', '.join(steps)})")
    places = []
    if emission.destination:
        memory = Destination(emission.destination).name.lower()
        bank = (
            "" if emission.destination == Destination.OPERAND else f".{emission.destination_bank}"
        )
        places.append(f"{memory}{bank} {emission.destination_base}")
    places += ["store"] * emission.store + ["step"] * emission.step
    if places:
        how.append("to " + ", ".join(places))
    return " ".join(how)


def _tokens(command: Command | Repeat) -> str:
    parts: list[str] = []
    if isinstance(command, Repeat):
        return ""
    for word, bits in (("wait", command.waits), ("signal", command.signals)):
        units = [unit.name.lower() for unit in Unit if bits >> unit & 1]
        if units:
            parts.append(f"{word} {','.join(units)}")
    return "  ".join(parts)
