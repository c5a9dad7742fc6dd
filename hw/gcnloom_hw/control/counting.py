# SPDX-License-Identifier: Apache-2.0
"""What of the units each counter counts."""

from amaranth import Mux

from gcnloom_hw.update.sharing import count_words
from gcnloom_spec.isa import Target, Unit

__all__ = ["count", "count_moves"]


def count_moves(m, core, gates, load, aggregate, transform, store, update):
    """Count each unit's movements, standstills and waits; a unit that is not there has none."""
    moves = {
        Unit.LOAD: (load.active, load.stalled),
        Unit.TRANSFORM: (transform.active, transform.stalled),
        Unit.STORE: (store.active, store.stalled),
    }
    if aggregate is not None:
        moves[Unit.AGGREGATE] = (aggregate.beats, 0)
        moves[Unit.DRAIN] = (aggregate.entries, aggregate.stalled)
    if update is not None:
        moves[Unit.UPDATE] = (update.active, update.stalled)
    for unit, (active, stalled) in moves.items():
        name = unit.name.lower()
        m.d.comb += [
            getattr(core, f"count_{name}_active").eq(active),
            getattr(core, f"count_{name}_stalled").eq(stalled),
        ]
    for unit, gate in gates.items():
        m.d.comb += [
            getattr(core, f"count_{unit.name.lower()}_wait_{other.name.lower()}").eq(
                gate.waiting[other]
            )
            for other in Unit
        ]


def count(m, core, sequencer, load, aggregate, transform, store, update):
    """Count what is worked on, in words, rows, edges and commands."""
    counts = {
        "cycles": 1,
        "commands": sequencer.dispatched,
        "program_words": sequencer.fetched,
        "transform_rows": transform.rows,
        **count_words(store, update),
    }
    if aggregate is not None:
        counts |= {
            "edges": aggregate.edges,
            "edge_slots": Mux(aggregate.beats, core.config.pes, 0),
            "drain_entries": aggregate.entries,
        }
    for target in Target:
        counts[f"{target.name.lower()}_words"] = load.asked[target]
    # Registers on the way, as the counters are far from all that they count.
    for name, amount in counts.items():
        m.d.sync += getattr(core, f"count_{name}").eq(amount)
