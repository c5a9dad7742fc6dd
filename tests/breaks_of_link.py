# SPDX-License-Identifier: Apache-2.0
"""The lines of the host's side of a serial link that `mutations.py` breaks."""

from tests.breaks import Mutation

SERIAL = "sw/gcnloom/transport/serial"
FRAMES = ("tests/sw/test_serial_frames.py",)
SESSION = ("tests/sw/test_serial_session.py",)
TRANSPORT = ("tests/sw/test_serial_transport.py",)

LINK = [
    Mutation(
        f"{SERIAL}/frames.py",
        'if not body or zlib.crc32(body).to_bytes(CHECK_BYTES, "little") != check:',
        "if not body:",
        FRAMES,
    ),
    Mutation(
        f"{SERIAL}/frames.py",
        "stuffed.replace(STUFFED_FLAG, FLAG_BYTE).replace(STUFFED_ESCAPE, ESCAPE_BYTE)",
        "stuffed.replace(STUFFED_ESCAPE, ESCAPE_BYTE).replace(STUFFED_FLAG, FLAG_BYTE)",
        FRAMES,
    ),
    Mutation(f"{SERIAL}/conversation.py", "raise AskAnewError", "pass", SESSION),
    Mutation(
        f"{SERIAL}/conversation.py",
        "self._asked_bytes + asked > self._window_bytes",
        "asked > self._window_bytes",
        SESSION,
    ),
    Mutation(
        f"{SERIAL}/conversation.py",
        "self._sent = self._done",
        "self._sent += 0",
        SESSION,
    ),
    Mutation(
        f"{SERIAL}/conversation.py",
        "self._most_ahead = min(MOST_UNANSWERED, self._most_ahead + 1)",
        "self._most_ahead += 1",
        SESSION,
    ),
    Mutation(
        f"{SERIAL}/session.py",
        "and asks[len(answers)].joined",
        "and False",
        SESSION,
    ),
    Mutation(f"{SERIAL}/session.py", "rate == caller.rate", "True", SESSION),
    Mutation(
        f"{SERIAL}/caller.py",
        "if self._greeted.token != self._token:",
        "if False:",
        SESSION,
    ),
    Mutation(f"{SERIAL}/rates.py", "losses <= MOST_LOSSES * frames or", "True or", SESSION),
    Mutation(
        f"{SERIAL}/bus.py",
        "if not self.running() and self._traces() == before:",
        "if False:",
        TRANSPORT,
    ),
    Mutation(f"{SERIAL}/bus.py", "max(passed / LOOKS, SHORTEST)", "SHORTEST", TRANSPORT),
    Mutation(f"{SERIAL}/transport.py", "readable=False", "readable=True", TRANSPORT),
    Mutation(
        "sw/gcnloom/transport/registers.py",
        "(Control.KEEP if keep else 0)",
        "0",
        TRANSPORT,
    ),
]
