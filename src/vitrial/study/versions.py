"""The versions of what decides a run's bits, raised by hand: they are part of its key.

Raise a number when the same protocol and data would give other results than before, on the same
machine; never for what cannot change a bit. Runs made under another number are kept and not used.
`tests/golden` fails when results change and the number does not.
"""

from __future__ import annotations

from vitrial.store.stage import Kind

VERSIONS: dict[Kind, int] = {
    # Its batches, augmentation, loss, optimizer, schedule, initial weights or choice of weights.
    "pretrain": 1,
    # Its views, networks, losses, schedules, initial weights, or what becomes of the teacher.
    "selfsupervise": 1,
    # What `pretrain` depends on, the draw of the labels, or the predictions and neighbors.
    "finetune": 1,
    # What `pretrain` depends on; a trial of a rate predicts nothing.
    "tune": 1,
}
"""For each kind of stage; in `train/`, `models/`, `evaluate/` or `data/augment.py` a change counts
for all the kinds that use it."""

DATA = 1
"""Of the data's preparation: how groups are found and divided, how the channels' statistics are
computed. Pixels, labels, groups and splits themselves are in a data set's fingerprint."""


def versions_of(kind: Kind) -> tuple[int, int]:
    """The versions that a stage of this kind is named by: its own, and that of the data."""
    return VERSIONS[kind], DATA
