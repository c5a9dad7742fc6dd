# SPDX-License-Identifier: Apache-2.0
"""Serial programs: one step after the other, to the bits of those whose units run side by side."""

from itertools import pairwise

import numpy as np
import pytest

from gcnloom.device import Device
from gcnloom.device import open as open_device
from gcnloom.estimator import GCN
from gcnloom.graphs import datasets
from gcnloom.layers import Network
from gcnloom.programs.dependence import insert_tokens
from gcnloom.programs.steps import steps
from gcnloom.training.engine import Engine
from gcnloom.training.trainer import Trainer
from gcnloom_sim.cycles import predict
from gcnloom_spec.commands import Drain, Emission, Store, Transform
from gcnloom_spec.isa import Mode, Source, Unit
from gcnloom_spec.registers import STATISTICS
from tests.sw.cli import MODEL, run
from tests.sw.host import host_options
from tests.sw.test_dependence import MAKERS, random_accesses, run_freely, violations
from tests.sw.test_sampled import STEPS, graph_of, traces, trained

TOLERANCE = 0.03


def storing(count, made):
    """A store and the commands that emit so many vectors each."""
    emissions = [Emission(vectors=vectors, store=1) for vectors in made]
    return [
        Store(source=Source.AGGREGATE, count=count, address=0),
        *(Drain(order_base=0, count=9, emission=emission) for emission in emissions),
    ]


@pytest.mark.parametrize("seed", range(8))
def test_in_any_interleaving_no_command_starts_before_the_one_before_it_ends(seed):
    rng = np.random.default_rng(seed)
    commands, accesses = random_accesses(rng, 40)
    # Makers' stores take what nobody emits: they would make one step of all that follows.
    kept = [index for index, command in enumerate(commands) if command.unit != Unit.STORE]
    commands, accesses = [commands[i] for i in kept], [accesses[i] for i in kept]
    ordered = insert_tokens(commands, accesses, serial=True)
    for _ in range(5):
        start, end, most = run_freely(ordered, rng)
        assert most == 1
        assert all(end[early] < start[late] for early, late in pairwise(range(len(ordered))))
    tokens = sum(int(command.waits).bit_count() for command in ordered)
    assert tokens == sum(int(command.signals).bit_count() for command in ordered)
    assert tokens == len(ordered) - 1


def test_a_store_and_what_emits_to_it_are_one_step():
    emission = Emission(vectors=3, store=1)
    passing = Transform(mode=Mode.PASS, count=3, first=0, emission=emission)
    transform = Store(source=Source.TRANSFORM, count=3, address=0)
    silent = Drain(order_base=0, count=9, emission=Emission(vectors=4))
    commands = [silent, *storing(7, [3, 4]), silent, *storing(2, [2]), transform, passing, silent]
    cut = [range(1), range(1, 4), range(4, 5), range(5, 7), range(7, 9), range(9, 10)]
    assert list(steps(commands)) == cut
    assert list(steps(commands[:2])) == [range(1), range(1, 2)]
    ordered = insert_tokens(commands, [[]] * len(commands), serial=True)
    rng = np.random.default_rng(0)
    for _ in range(50):
        start, end, _ = run_freely(ordered, rng)
        for early, late in pairwise(cut):
            assert max(end[index] for index in early) < min(start[index] for index in late)
    assert not ordered[2].waits & 1 << Unit.STORE
    assert not ordered[6].waits & 1 << Unit.STORE


def test_conflicts_within_a_step_keep_their_order_too():
    rng = np.random.default_rng(3)
    commands, accesses = random_accesses(rng, 30)
    # The first store is never filled: all behind it is one step, as if nothing were serial.
    commands, accesses = [*storing(5, []), *commands], [[], *accesses]
    assert insert_tokens(commands, accesses, serial=True) == insert_tokens(commands, accesses)
    for unit in (Unit.LOAD, Unit.AGGREGATE, Unit.DRAIN, Unit.TRANSFORM):
        led = [MAKERS[unit](), *commands]
        ordered = insert_tokens(led, [[], *accesses], serial=True)
        for _ in range(10):
            start, end, _ = run_freely(ordered, rng)
            assert not violations(ordered, [[], *accesses], start, end)
            assert end[0] < min(start[index] for index in range(1, len(led)))


@pytest.mark.parametrize(
    ("name", "config", "options"),
    [
        ("directed", "odd", {"dropout": 0.4, "rounding": "stochastic"}),
        ("directed", "smallest", {"layers": 3}),
        ("loud", "tall", {"dropout": 0.5, "sampled": False}),
        ("sbm:300,3", "smallest", {"dropout": 0.25, "hidden": 3}),
    ],
)
def test_serial_and_pipelined_training_leave_the_same_bits(name, config, options):
    graph, device = graph_of(name), f"model:{config}"
    pipelined, serial = (
        trained(graph, device, STEPS | options | {"serial": on}) for on in (False, True)
    )
    assert traces(pipelined) == traces(serial)
    for part in ("forward", "infer", "backward"):
        programs = [getattr(one.engine.lowered, part) for one in (pipelined, serial)]
        assert len(programs[0]) == len(programs[1])
        sizes = pipelined.engine.device.config
        cycles = [predict(program, sizes).cycles for program in programs]
        assert cycles[0] < cycles[1]


@pytest.mark.parametrize("first", [True, False])
def test_a_training_resumes_serially_and_otherwise_to_the_same_bits(first):
    graph, options = graph_of("directed"), STEPS | {"epochs": 4, "serial": first}
    half = trained(graph, "model:odd", options | {"epochs": 2}).checkpoint()
    with open_device("model:odd", memory_megabytes=16) as device:
        trainer = Trainer(graph, host_options(**options | {"serial": not first}), device)
        trainer.restore(half)
        trainer.run()
    assert traces(trainer)[:3] == traces(trained(graph, "model:odd", options))[:3]


@pytest.mark.sim
@pytest.mark.parametrize("config", ["smallest", "odd"])
def test_gateware_runs_serial_programs_to_the_same_bits_as_slowly_as_predicted(config):
    graph = datasets.load("sbm:60,3", seed=0)
    widths = (graph.features.shape[1], 8, graph.classes)
    rng = np.random.default_rng(0)
    weights = [rng.uniform(-0.3, 0.3, shape) for shape in pairwise(widths)]
    bits, cycles = {}, {}
    for name in (f"model:{config}", f"rtl:{config}"):
        with open_device(name, memory_megabytes=4) as device:
            for serial in (False, True):
                network = Network(widths=widths, dropout=0.5)
                engine = Engine(graph, network, device, seed=1, serial=serial)
                logits = engine.forward(weights, step=0, training=True)
                gradients = engine.backward(np.nan_to_num(logits), step=0)
                bits[name, serial] = b"".join(array.tobytes() for array in [logits, *gradients])
                for part in ("forward", "backward"):
                    measured = engine.counters[part]["cycles"]
                    if measured:
                        program = getattr(engine.lowered, part)
                        predicted = predict(program, device.config).cycles
                        assert abs(predicted - measured) <= TOLERANCE * measured
                        cycles[part, serial] = measured
    assert len(set(bits.values())) == 1
    assert all(cycles[part, True] > 1.2 * cycles[part, False] for part in ("forward", "backward"))


@pytest.fixture
def digests(monkeypatch):
    """Digests of the programs that devices ran, shifts aside, since the list was cleared."""
    seen, run_program = set(), Device.run

    def watching(self, program, **key):
        unshifted = program.with_shifts(dict.fromkeys(range(STATISTICS), 0))
        seen.add(unshifted.digest)
        return run_program(self, program, **key)

    monkeypatch.setattr(Device, "run", watching)
    return seen


def test_the_command_line_trains_infers_and_lists_serially(capsys, tmp_path, monkeypatch, digests):
    monkeypatch.chdir(tmp_path)

    def both(*words):
        documents, ran = [], []
        for more in ([], ["--serial"]):
            digests.clear()
            documents.append(run(capsys, *words, "--json", "-", *more).json())
            ran.append(set(digests))
        return documents, ran

    train = ["train", "--data", "sbm:40,2", *MODEL, "--hidden", 4, "--epochs", 2, "--force"]
    train += ["--update", "host"]
    documents, ran = both(*train, "--checkpoint", "kept.npz")
    assert documents[0]["weights_sha256"] == documents[1]["weights_sha256"]
    assert not ran[0] & ran[1]
    documents, ran = both("infer", "--data", "sbm:40,2", *MODEL, "--checkpoint", "kept.npz")
    assert documents[0]["classes"] == documents[1]["classes"]
    assert not ran[0] & ran[1]
    documents, _ = both("listing", "--data", "sbm:40,2", "--config", "odd")
    assert documents[0]["commands"] == documents[1]["commands"]
    assert documents[0]["digest"] != documents[1]["digest"]


def test_an_estimator_trains_and_predicts_serially(digests):
    graph = datasets.load("sbm:40,2", seed=0)
    ran, predictions = [], []
    for serial in (False, True):
        model = GCN(
            hidden=4, device="model:odd", memory_megabytes=8, epochs=2, serial=serial, update="host"
        )
        model.fit(graph.adjacency, graph.features, graph.labels, train=graph.train)
        digests.clear()
        predictions.append(model.predict())
        ran.append(set(digests))
    assert np.array_equal(*predictions)
    assert not ran[0] & ran[1]
