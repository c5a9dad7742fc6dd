# SPDX-License-Identifier: Apache-2.0
"""What the update unit shares with others: the memory port, and the tensors' statistics."""

from amaranth.lib import wiring

__all__ = ["count_words", "share_memory", "share_statistics"]

UPDATE_WORDS = ("loss_words", "step_words", "update_words")
FIRST_READER, FIRST_WRITER = 1, 1
"""Clients before it: fetch, and behind it loads; store."""


def share_memory(m, update, reads, writes):
    """Make both engines of the unit clients of the memory port."""
    for index, name in enumerate(("loss", "step")):
        read, write = FIRST_READER + index, FIRST_WRITER + index
        requests, words = (getattr(update, f"{name}_{port}") for port in ("requests", "words"))
        wiring.connect(m, client=requests, port=getattr(reads, f"requests{read}"))
        wiring.connect(m, port=getattr(reads, f"words{read}"), client=words)
        wiring.connect(
            m, client=getattr(update, f"{name}_writes"), port=getattr(writes, f"i{write}")
        )


def share_statistics(m, core, epilogues, update):
    """Add up statistics; let the unit, if there is one, look at them and forget them."""
    parts = epilogues if update is None else (*epilogues, update)
    envelope = parts[0].envelope
    for part in parts[1:]:
        envelope = envelope | part.envelope
    m.d.comb += [
        core.envelope.eq(envelope),
        core.saturations.eq(sum(part.saturations for part in parts)),
    ]
    if update is None:
        m.d.comb += [epilogue.statistic.eq(core.statistic) for epilogue in epilogues]
        return
    m.d.comb += [
        update.statistic.eq(core.statistic),
        update.envelopes.eq(core.envelope),
        core.scale.eq(update.scale),
        core.train_loss.eq(update.train_loss),
        core.val_loss.eq(update.val_loss),
        core.judge.eq(update.judge),
    ]
    for epilogue in epilogues:
        m.d.comb += [
            epilogue.statistic.eq(update.chosen),
            epilogue.forget.eq(update.forget),
            epilogue.shift.eq(update.written),
        ]


def count_words(store, update):
    """Return when a word is asked for by, or written for, the unit or the store unit."""
    if update is None:
        return {"store_words": store.wrote, **dict.fromkeys(UPDATE_WORDS, 0)}
    moved = {
        name: getattr(update, name).valid & getattr(update, name).ready
        for name in ("loss_requests", "step_requests", "loss_writes", "step_writes")
    }
    reads = (moved["loss_requests"], moved["step_requests"])
    counts = (*reads, moved["loss_writes"] | moved["step_writes"])
    return {"store_words": store.wrote, **dict(zip(UPDATE_WORDS, counts, strict=True))}
