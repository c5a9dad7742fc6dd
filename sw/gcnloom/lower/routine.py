# SPDX-License-Identifier: Apache-2.0
"""A whole training run as one routine: forward, loss, backward with its step, scales, repeat."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gcnloom.errors import ProgramError
from gcnloom.layers import FORWARD, Network
from gcnloom.lower.losses import Losses
from gcnloom.lower.network import LoweredNetwork
from gcnloom.lower.scales import (
    fit_backward,
    fit_forward,
    fit_inference,
    fit_weights,
    set_scales,
    use_weights,
)
from gcnloom.programs.program import Program
from gcnloom.programs.routine import Part, Routine
from gcnloom_spec.commands import Command, Repeat
from gcnloom_spec.descent import Coefficient
from gcnloom_spec.isa import Opcode, Unit

__all__ = ["Coefficients", "Training"]

SCALED = {"scaled": 1, "shift": 0}
EPOCHS, VALIDATIONS = 0, 1
"""Loops."""


@dataclass(frozen=True, kw_only=True)
class Coefficients:
    """Of the step of one layer's weights.

    The momentum is in 256ths; the rate halves every ``2 ** halving`` steps, never if that is 0.
    """

    rate: Coefficient
    decay: Coefficient
    momentum: int
    halving: int = 0

    def fields(self) -> dict[str, int]:
        """Fields of the command."""
        return {
            "rate": self.rate.mantissa, "rate_shift": self.rate.shift,
            "decay": self.decay.mantissa, "decay_shift": self.decay.shift,
            "momentum": self.momentum, "halving": self.halving,
        }  # fmt: skip


class Training:
    """The programs of a network's training on a device.

    Parameters
    ----------
    lowered : LoweredNetwork
        With a pass that descends.
    losses : Losses
    rows : int
        Training nodes.
    coefficients : sequence of Coefficients
        By layer.
    """

    def __init__(
        self, lowered: LoweredNetwork, losses: Losses, rows: int,
        coefficients: Sequence[Coefficients],
    ) -> None:  # fmt: skip
        if lowered.descend is None:
            raise ProgramError("the network was lowered without weight steps; lower it with them")
        self._lowered = lowered
        self._network = network = lowered.network
        number, last = network.identifier, network.layers
        names = network.tensor_names()
        everywhere = dict.fromkeys(names, SCALED)
        everywhere |= {
            network.outside(name): SCALED for name in names.values() if name.startswith(FORWARD)
        }
        steps = {
            number(f"weights{layer}"): each.fields()
            for layer, each in enumerate(coefficients, start=1)
        }
        tensors = lowered.tensors
        loss = losses.training(tensors["training_logits"], tensors[f"gradient{last}"], rows)
        forward = lowered.forward.with_fields(everywhere)
        self._forward = forward.beside(Unit.UPDATE, [], loss, [Unit.STORE])
        # What the forward pass has left is fitted while the update unit has nothing else to do.
        early = [*use_weights(network), *fit_forward(network)]
        late = [*fit_backward(network), *fit_weights(network)]
        descend = lowered.descend.with_fields(everywhere).with_fields(steps, (Opcode.STEP,))
        self._descend = descend.beside(Unit.UPDATE, early, late, [Unit.DRAIN, Unit.TRANSFORM])
        infer = lowered.infer.with_fields(_for_inference(network))
        judge = losses.inference(tensors["logits"])
        self._infer = infer.beside(Unit.UPDATE, [], judge, [Unit.STORE])

    def routine(
        self, exponents: Mapping[str, int], wanted: Mapping[str, int], *, epochs: int,
        every: int = 0, patience: int = 0, begun: int = 0, owes: bool = False,
    ) -> Routine:  # fmt: skip
        """Train for so many epochs.

        Parameters
        ----------
        exponents, wanted : Mapping[str, int]
            Scales at the start, by tensor name.
        epochs : int
        every : int
            Judge the validation nodes whenever so many epochs are done; 0: never.
        patience : int
            End after so many judgements without a smaller loss; 0: never.
        begun : int
            Epochs done since the last judgement was due.
        owes : bool
            Whether that has still to be done.
        """
        network = self._network
        begin = [
            *set_scales(network, exponents, wanted),
            *fit_weights(network),
            *fit_forward(network),
            *fit_backward(network),
            *fit_inference(network),
        ]
        parts = [Part(program=self._program(begin))]
        if owes:
            parts += self._judgement(1, patience, len(parts))
        first = min(epochs, every - begun) if begun else 0
        if first:
            parts += self._epochs(first, len(parts))
            if begun + first == every:
                parts += self._judgement(1, patience, len(parts))
        rounds, rest = divmod(epochs - first, every) if every else (0, epochs)
        if rounds:
            back = len(parts)
            parts += self._epochs(every, back)
            parts += self._judgement(rounds, patience, back)
        if rest:
            parts += self._epochs(rest, len(parts))
        return Routine(parts=parts, config=self._lowered.config, names=network.every_name())

    def _epochs(self, passes: int, first: int) -> list[Part]:
        repeat = Repeat(passes=passes, loop=EPOCHS, advance=1)
        return [
            Part(program=self._forward),
            Part(program=self._descend, repeat=repeat, back=first),
        ]

    def _judgement(self, passes: int, patience: int, back: int) -> list[Part]:
        """Judge the validation nodes; go back so that it is done so often."""
        fit = self._program(fit_inference(self._network))
        repeat = Repeat(passes=passes, loop=VALIDATIONS, patience=patience)
        return [
            Part(program=fit),
            Part(program=self._infer),
            Part(program=fit, repeat=repeat, back=back),
        ]

    def _program(self, commands: Iterable[Command]) -> Program:
        """Commands of the update unit, which runs them one after the other."""
        return Program.of(list(commands), self._lowered.config.digest)


def _for_inference(network: Network) -> dict[int, dict[str, int]]:
    """Tensors of a forward pass by the numbers that they have in inference."""
    return {
        number: SCALED | {"tensor": network.identifier(f"infer_{name}")}
        for number, name in network.tensor_names().items()
        if name.startswith(FORWARD)
    }
