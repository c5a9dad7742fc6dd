# SPDX-License-Identifier: Apache-2.0
"""The lines of scheduler, lowering, streaming and training that `mutations.py` breaks."""

from tests.breaks import Mutation

SW = "sw/gcnloom"
SCHEDULE = ("tests/sw/test_schedule.py", "-k", "not million and not cora")
DEPENDENCE = ("tests/sw/test_dependence.py", "tests/sim/test_random_programs.py")
SERIAL = ("tests/sw/test_serial.py", "-m", "not sim")
SAMPLED = ("tests/sw/test_sampled.py", "tests/sw/test_receptive.py", "-m", "not sim")
GRADIENTS = ("tests/system/test_gradients.py", "-k", "odd")
CONFIGURATIONS = ("tests/system/test_executors.py", "-k", "configurations and odd")
MODES = ("tests/sw/test_lower_modes.py",)
WINDOW = ("tests/sw/test_segments.py", "tests/sw/test_window.py", "-m", "not sim")
RESIDENT = ("tests/sw/test_window_device.py", "-m", "not sim")
LOSS = ("tests/sw/test_resident.py", "-k", "first_record")

HOST = [
    Mutation(
        f"{SW}/scheduling/spacing.py",
        "(beats % lanes - 1 - turn) % lanes",
        "turn",
        ("tests/sw/test_schedule_parts.py",),
    ),
    Mutation(
        f"{SW}/scheduling/dealing.py",
        "np.append(row[1:] != row[:-1], True)",
        "np.append(True, row[1:] != row[:-1])",
        SCHEDULE,
    ),
    Mutation(f"{SW}/scheduling/dealing.py", "used[chosen] += 1", "used[chosen] += 0", SCHEDULE),
    Mutation(
        f"{SW}/scheduling/levelling.py",
        "self.used[pe] < self.room",
        "self.used[pe] <= self.room",
        ("tests/sw/test_schedule_parts.py",),
    ),
    Mutation(
        f"{SW}/scheduling/banks.py",
        "left[rows, bank].min()",
        "left[rows, bank].max()",
        ("tests/sw/test_schedule_parts.py",),
    ),
    Mutation(
        f"{SW}/scheduling/repair.py",
        "bound |= bound.swapaxes(-1, -2)",
        "bound |= bound",
        SCHEDULE,
    ),
    Mutation(
        f"{SW}/scheduling/repair.py",
        "HAZARD_DISTANCE - distance)",
        "HAZARD_DISTANCE - distance - 1)",
        ("tests/sw/test_schedule_parts.py",),
    ),
    Mutation(
        f"{SW}/programs/dependence.py",
        "table = self.users if write else self.writers",
        "table = self.writers",
        DEPENDENCE,
    ),
    Mutation(
        f"{SW}/programs/dependence.py",
        "complete[other] = needed[other]",
        "complete[other] = needed[other] + 1",
        DEPENDENCE,
    ),
    Mutation(
        f"{SW}/programs/dependence.py",
        "needed[units[earlier]] = max(needed[units[earlier]], earlier)",
        "needed[units[earlier]] = earlier",
        SERIAL,
    ),
    Mutation(
        f"{SW}/programs/steps.py",
        "owed[Source.AGGREGATE] -= _handed_out(command.emission)",
        "owed[Source.AGGREGATE] = 0",
        SERIAL,
    ),
    Mutation(
        f"{SW}/training/inference.py",
        "sampled=False, serial=serial",
        "sampled=False",
        SERIAL,
    ),
    Mutation(
        f"{SW}/programs/access.py",
        "command.address + packing.words(command.count), False",
        "command.address + 1, False",
        DEPENDENCE,
    ),
    Mutation(
        f"{SW}/lower/builder.py", "feature=panel * config.lanes", "feature=panel", CONFIGURATIONS
    ),
    Mutation(
        f"{SW}/lower/matrices.py",
        "turned = transposed and not self._symmetric",
        "turned = 0",
        GRADIENTS,
    ),
    Mutation(
        f"{SW}/lower/forward.py",
        "counted=self.seen[layer] if self.seen else None",
        "counted=None",
        SAMPLED,
    ),
    Mutation(f"{SW}/lower/parts.py", "+ (start if emission.destination else 0)", "+ 0", SAMPLED),
    Mutation(f"{SW}/graphs/receptive.py", "np.minimum(ring[heard], number)", "number", SAMPLED),
    Mutation(
        f"{SW}/lower/dense.py",
        "first=step == steps[0], last",
        "first=True, last",
        ("tests/sw/test_sampled.py", "-m", "not sim", "-k", "golden or gradients or same"),
    ),
    Mutation(
        f"{SW}/lower/buffers.py",
        "if high > base and low < base + size:",
        "if high > base and low < base:",
        ("tests/sw/test_lower_arena.py",),
    ),
    Mutation(
        f"{SW}/lower/tiling.py",
        "if words % n == 0 and part // n <= most",
        "if part // n <= most",
        ("tests/sw/test_lower_tiling.py",),
    ),
    Mutation(
        f"{SW}/lower/streamed.py",
        "if min((group + 1) * banks, self._panels()) <= panels.stop",
        "if group * banks <= panels.stop",
        MODES,
    ),
    Mutation(
        f"{SW}/lower/streamed.py",
        "return base + group * self._left.rows + rows.start",
        "return base + rows.start",
        MODES,
    ),
    Mutation(
        f"{SW}/lower/sparse.py",
        "ready = made[-1 - BEHIND] if",
        "ready = made[-1] + 8 if",
        MODES,
    ),
    Mutation(
        f"{SW}/lower/sparse.py",
        "if tile.columns.start >= done:",
        "if tile.columns.start > done:",
        MODES,
    ),
    Mutation(f"{SW}/lower/making.py", "self._reached = self._rows", "pass", MODES),
    Mutation(
        f"{SW}/programs/crossing.py",
        "parts[signals[:pairs]] != parts[waits[:pairs]]",
        "parts[signals[:pairs]] < 0",
        WINDOW,
    ),
    Mutation(
        f"{SW}/programs/segments.py",
        "fetched[part][overwritten[part] != number] = number",
        "pass",
        WINDOW,
    ),
    Mutation(
        f"{SW}/transport/streaming.py",
        "self._table.changed[frames[segment.written]] = True",
        "pass",
        WINDOW,
    ),
    Mutation(
        f"{SW}/transport/streaming.py",
        "self._read_back(pages[changed & np.isin(pages, pages[[0, -1]])])",
        "pass",
        WINDOW,
    ),
    Mutation(
        f"{SW}/transport/streaming.py",
        "judged, keep = ended.judged, True",
        "judged = ended.judged",
        WINDOW,
    ),
    Mutation(
        f"{SW}/transport/streaming.py",
        "worse=judged.worse",
        "worse=0",
        RESIDENT,
    ),
    Mutation(
        f"{SW}/transport/streaming.py",
        "self._put_home(lent)",
        "pass",
        RESIDENT,
    ),
    Mutation(
        f"{SW}/programs/segments.py",
        "yield _touch(sizes, command.gradients, last, write=True)",
        "pass",
        RESIDENT,
    ),
    Mutation(f"{SW}/transport/pages.py", "cost[blocked > 0] = np.inf", "pass", WINDOW),
    Mutation(
        f"{SW}/transport/forecast.py",
        "= start + each.first[touched]",
        "= NEVER",
        WINDOW,
    ),
    Mutation(
        f"{SW}/lower/losses.py",
        "network.kept if network.layers == 2 else 1.0",
        "network.kept",
        LOSS,
    ),
]
