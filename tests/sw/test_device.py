# SPDX-License-Identifier: Apache-2.0
"""A device takes only programs and tensors made for it, and adds up what runs count."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from gcnloom import device as device_module
from gcnloom import transport as transport_module
from gcnloom.device import Device
from gcnloom.errors import ConfigError, DeviceError, ProgramError
from gcnloom.programs.program import Program
from gcnloom.tensors.memory import TensorLayout
from gcnloom.transport import NOTHING_JUDGED, Ended, Identity, connect
from gcnloom_spec.commands import Load
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import ISA_VERSION
from gcnloom_spec.registers import STATISTICS

SMALLEST = AcceleratorConfig.from_toml("smallest")
ODD = AcceleratorConfig.from_toml("odd")


class Recorder:
    """A transport that is only memory."""

    def __init__(self, config=SMALLEST, version=ISA_VERSION, digest=None):
        self.config, self.version, self.digest = config, version, digest or config.digest
        self.memory = bytearray(4096)
        self.runs, self.writes = [], 0

    def identity(self):
        words = len(self.memory) // self.config.memory_bytes
        return Identity(
            isa_version=self.version,
            config_digest=self.digest,
            config=self.config,
            memory_words=words,
        )

    def write(self, address, data):
        start = address * self.config.memory_bytes
        self.memory[start : start + len(data)] = data
        self.writes += 1

    def read(self, address, words):
        start = address * self.config.memory_bytes
        return bytes(self.memory[start : start + words * self.config.memory_bytes])

    def run(self, program_address, commands, seed, step, **_):
        self.runs.append((program_address, commands, seed, step))
        return Ended(step=step, judged=NOTHING_JUDGED)

    def counters(self):
        return {"commands": self.runs[-1][1]}

    def statistics(self):
        return np.zeros((2, STATISTICS), dtype=np.int64)

    def close(self):
        self.memory = None


def program(config, address=0, count=3):
    commands = [Load(target=0, base=0, count=1, address=address)] * count
    return Program.of(commands, config.digest)


def test_a_program_is_loaded_once_and_replaced_in_place():
    transport = Recorder()
    with Device(transport) as device:
        device.memory.allocate("tensor", 7)
        first, second = program(SMALLEST, 1), program(SMALLEST, 2)
        device.run(first, seed=3, step=4)
        device.run(first)
        device.run(second)
        assert transport.runs == [(7, 3, 3, 4), (7, 3, 0, 0), (7, 3, 0, 0)]
        assert transport.writes == 2
        assert transport.memory[28 : 28 + 96] == second.to_bytes()
        assert device.counters() == {"commands": 9}
    assert transport.memory is None


def test_a_program_for_another_configuration_is_refused():
    device = Device(Recorder())
    expected = f"program is for configuration {ODD.digest}, device is {SMALLEST.digest}"
    with pytest.raises(ProgramError, match=expected):
        device.run(program(ODD))


def test_a_device_of_another_version_or_configuration_is_refused():
    with pytest.raises(DeviceError, match="version 9 of the command set"):
        Device(Recorder(version=9))
    with pytest.raises(DeviceError, match=f"built for configuration {ODD.digest}"):
        Device(Recorder(digest=ODD.digest))


def test_tensors_are_written_and_read_within_the_memory():
    device = Device(Recorder())
    layout = TensorLayout(config=SMALLEST, rows=5, features=3, address=20)
    array = np.arange(15).reshape(5, 3)
    device.write(layout, array)
    assert np.array_equal(device.read(layout), array)
    with pytest.raises(DeviceError, match=r"words 1020\.\.1025 are outside"):
        device.write(layout.at(1020), array)
    with pytest.raises(DeviceError, match="laid out for configuration"):
        device.read(TensorLayout(config=ODD, rows=1, features=1))
    with pytest.raises(DeviceError, match="3 bytes are not whole words of 4"):
        device.write_bytes(0, bytes(3))


def fake_entry_points(group):
    assert group == "gcnloom.transport"
    return [EntryPoint(name="memory", value=f"{__name__}:Recorder", group=group)]


def test_transports_are_found_by_name(monkeypatch):
    monkeypatch.setattr(transport_module, "entry_points", fake_entry_points)
    assert connect("memory").identity().config == AcceleratorConfig.from_toml("demo")
    assert device_module.open("memory:odd", version=ISA_VERSION).config == ODD
    assert device_module.open("memory", SMALLEST).config == SMALLEST
    with pytest.raises(DeviceError, match=r"'usb' \(there are: memory\); try .*pip install"):
        connect("usb")
    with pytest.raises(ConfigError, match="unknown configuration 'nothing'"):
        connect("memory:nothing")
    with pytest.raises(ConfigError, match="names a configuration and another"):
        connect("memory:odd", SMALLEST)
