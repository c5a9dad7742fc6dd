# SPDX-License-Identifier: Apache-2.0
"""Recorded sessions play back without the device, and notice a host that behaves otherwise."""

import json
import random
from pathlib import Path

import pytest

from gcnloom.errors import DataError, DeviceError
from gcnloom.transport.serial import open_channel, open_serial
from gcnloom.transport.serial.recording import Recorder
from gcnloom.transport.serial.replay import Replay
from tests.sw.serial_link import (
    BAUD,
    CONFIG,
    board,
    exercise,
    expected_weights,
    faulty,
    pty,
    record,
    train,
)

SESSIONS = sorted((Path(__file__).parents[1] / "sessions").glob("*.jsonl"))


@pytest.fixture
def recorded(tmp_path):
    """Record what a test does with a device, through a number of faults."""

    def write_down(act, mean_bytes, seed=0):
        path = tmp_path / f"{seed}.jsonl"
        recorder = Recorder(
            faulty(board(), seed, mean_bytes), path, origin="a test", baud=BAUD,
            draw=random.Random(seed).randrange,
        )  # fmt: skip
        transport = open_channel(recorder, CONFIG, baud=BAUD, draw=recorder.draw)
        recorder.configured(CONFIG)
        result = act(transport)
        transport.close()
        return path, result

    return write_down


@pytest.mark.parametrize(("seed", "mean_bytes"), [(0, 1e9), (1, 3000), (2, 1000), (3, 1000)])
def test_a_training_plays_back_to_the_same_bits(recorded, seed, mean_bytes):
    path, weights = recorded(train, mean_bytes, seed)
    assert weights == expected_weights()
    replay = Replay(path)
    assert replay.config == CONFIG
    assert train(open_channel(replay, CONFIG, baud=replay.baud, draw=replay.draw)) == weights
    assert replay.ended


def test_a_port_records_and_a_recording_opens_by_its_location(tmp_path):
    path = tmp_path / "session.jsonl"
    with pty(board()) as port:
        record(port, path)
    exercise(open_serial(location=f"?replay={path}"))


def test_a_host_that_sends_something_else_is_told_what(recorded):
    path, _ = recorded(exercise, 1e9)
    transport = open_serial(location=f"?replay={path}")
    with pytest.raises(DeviceError, match=r"the host sends 7e03.* has host 7e03"):
        transport.write(21, bytes(8))


def test_a_host_that_goes_on_beyond_the_end_is_told_so(recorded):
    path, _ = recorded(exercise, 1e9)
    transport = open_serial(location=f"?replay={path}")
    exercise(transport)
    with pytest.raises(DeviceError, match="has end"):
        transport.read(0, 1)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "no json", '{"format": 9, "baud": 1}', '{"format": 1, "baud": 1}\n{"host":7}'],
)
def test_other_files_are_no_recordings(tmp_path, text):
    path = tmp_path / "other.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match="no recorded session"):
        Replay(path)


def test_a_recording_needs_a_place(tmp_path):
    with pytest.raises(DataError, match="cannot record to"):
        Recorder(faulty(board(), 0, 1e9), tmp_path / "no" / "x", origin="", baud=BAUD, draw=len)


def test_there_are_recorded_sessions():
    assert SESSIONS


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_recorded_sessions_play_back(path):
    """A change of the host that breaks this breaks the boards that these were recorded on."""
    exercise(open_serial(location=f"?replay={path}"))


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_recorded_sessions_say_where_they_come_from(path):
    head = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    assert len(head["origin"]) > 10
