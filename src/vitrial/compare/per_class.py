"""How many images of each class an arm finds: sensitivity class by class, with intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd

from vitrial.compare.aligned import Aligned, effects
from vitrial.compare.jackknife import delete_from_sums, members, ratio


def sensitivity_table(test: Aligned) -> pd.DataFrame:
    """Sensitivity (recall) of each class that has test images, of each arm.

    Args:
        test: What is judged.

    Returns:
        Columns `target` (class index), `images`, `groups` (with an image of the class), and those
        of `vitrial.compare.aligned.effects`. Ends are NaN where one patient or lesion has all
        images of a class.
    """
    right = test.logits.argmax(axis=-1) == test.targets
    member = members(test.groups)
    tables = []
    for target in np.unique(test.targets):
        of_class = np.broadcast_to(test.targets == target, right.shape)
        counts = np.stack([right & of_class, of_class], axis=-1).astype(np.float64)
        found = effects(delete_from_sums(counts, ratio, member), test.arms, ())
        sizes = {"images": int(of_class[0].sum()), "groups": len(set(test.groups[of_class[0]]))}
        tables.append(found.assign(target=int(target), **sizes))
    table = pd.concat(tables, ignore_index=True)
    return table[["target", "images", "groups", *table.columns[:-3]]]
