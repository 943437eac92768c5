"""What an audit found, as it is kept; reading it takes none of the libraries that found it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from vitrial.atomic import replacing
from vitrial.errors import Problem
from vitrial.layout import AUDIT_FACTS, AUDIT_IMAGES
from vitrial.legacy import path_of
from vitrial.records import read_record, read_table, reading, write_record

PROBLEM = ("where", "what", "fix", "fatal")
IMAGES, GROUPS = "images", "groups"
"""What of a split is counted."""


@dataclass(frozen=True)
class Alike:
    """One figure of every split.

    Attributes:
        what: `images`, `groups`, `images per group`, `groups of`, `class`, or a column's name.
        level: Its level, where it has any.
        values: By split: a count, a ratio, or a share of the split's images.
        apart: The largest distance of a split from all images together, in standard deviations of
            chance; 0 for counts.
        differs: Whether that is more than any figure was apart in 200 splits by chance.
    """

    what: str
    level: str
    values: dict[str, float]
    apart: float = 0.0
    differs: bool = False

    @property
    def name(self) -> str:
        """What the figure is of, in words."""
        return f"{self.what} {self.level}".strip()

    @property
    def tested(self) -> bool:
        """Whether it is a figure that should be alike; counts follow the fractions."""
        return bool(self.level) or self.what not in (IMAGES, GROUPS)

    def shown(self, split: str) -> str:
        """The figure of a split, in words."""
        value = self.values[split]
        if not self.tested:
            return f"{value:,.0f}"
        return f"{100 * value:.1f} %" if self.level else f"{value:.2f}"


@dataclass(frozen=True)
class Shortcut:
    """How well a family of measurements alone predicts the classes.

    It is suspicious where `lower` exceeds `threshold`: the family then tells more than it should
    with 95 % confidence, not by the luck of a small data set.

    Attributes:
        family: Its name.
        score: Cross-validated balanced accuracy; every group of a class weighs the same.
        lower: The score's lower 95 % confidence bound.
        chance: The score of guessing, 1 / number of classes.
        threshold: Of suspicion.
        images: Number of images that this was computed from.
    """

    family: str
    score: float
    lower: float
    chance: float
    threshold: float
    images: int

    @property
    def suspicious(self) -> bool:
        """Whether the family tells more than it should."""
        return self.lower > self.threshold

    def problem(self, dataset: str) -> Problem:
        """The suspicion in words."""
        return Problem(
            dataset,
            f"has a suspicious shortcut: {self.family} alone predicts the classes with a balanced "
            f"accuracy of {self.score:.2f} (at least {self.lower:.2f}; chance {self.chance:.2f})",
            "find out why, and make the images of all classes alike in this respect, or take each "
            "class from the same sources",
            fatal=False,
        )


@dataclass(frozen=True)
class Audit:
    """What was found in a data set.

    Attributes:
        name: Of the data set.
        classes: Class names in order.
        images: A row per image that the source lists: `image`, `label`, `group` (joined with that
            of its copies), `split` where it is known, `used` (whether a study would use it), and
            the columns of `measure`, which lack values where an image cannot be decoded.
        problems: What is wrong (fatal) or worth knowing, all of it.
        shortcuts: How well measurements alone tell the classes.
        alike: Similarity of the splits; empty where they are not known.
        cache: Folder of the pixel cache, in which `images.row` counts.
        fingerprint: Changes with the data and what is wrong with them.
    """

    name: str
    classes: list[str]
    images: pd.DataFrame
    problems: list[Problem]
    shortcuts: list[Shortcut]
    alike: list[Alike]
    cache: Path
    fingerprint: str

    @property
    def fatal(self) -> int:
        """Number of problems that a study would stop at."""
        return sum(problem.fatal for problem in self.problems)

    def class_table(self) -> pd.DataFrame:
        """A row per class: images listed, used, their groups, and used ones by split if known."""
        used = self.images[self.images["used"]]
        table = pd.DataFrame(
            {
                "images": self.images["label"].value_counts(),
                "used": used["label"].value_counts(),
                "groups": used.groupby("label")["group"].nunique(),
            }
        )
        if "split" in used:
            table = table.join(pd.crosstab(used["label"], used["split"]))
        return table.reindex(self.classes).fillna(0).astype(int)

    def imbalance(self) -> float:
        """Used images of the largest class for each one of the smallest that has any."""
        used = self.images.loc[self.images["used"], "label"].value_counts()
        return float(used.max() / used.min()) if len(used) else 1.0

    def write(self, folder: Path) -> None:
        """Write `images.parquet` and, last, `audit.json`."""
        with replacing(folder / AUDIT_IMAGES) as temporary:
            self.images.to_parquet(temporary, index=False)
        facts = {
            "name": self.name,
            "classes": self.classes,
            "problems": [dict(zip(PROBLEM, facts_of(p), strict=True)) for p in self.problems],
            "shortcuts": [asdict(shortcut) for shortcut in self.shortcuts],
            "alike": [asdict(figure) for figure in self.alike],
            "cache": str(self.cache),
            "fingerprint": self.fingerprint,
        }
        write_record(folder / AUDIT_FACTS, facts, [AUDIT_IMAGES])


def read_audit(folder: Path, way_out: str = "audit the data again") -> Audit | None:
    """The audit that was written to a folder, if there is one.

    Args:
        folder: Where it was written.
        way_out: What the user can do if it is damaged; follows a colon.

    Raises:
        DamagedError: It is not what was written.
    """
    path = path_of(folder / AUDIT_FACTS)
    if not path.exists():
        return None
    facts = read_record(path, way_out)
    images = read_table(path.with_name(AUDIT_IMAGES), facts, way_out)
    with reading(path, way_out):
        return Audit(
            name=facts["name"],
            classes=facts["classes"],
            images=images,
            problems=[Problem(**problem) for problem in facts["problems"]],
            shortcuts=[Shortcut(**shortcut) for shortcut in facts["shortcuts"]],
            alike=[Alike(**figure) for figure in facts.get("alike", [])],
            cache=Path(facts["cache"]),
            fingerprint=facts["fingerprint"],
        )


def facts_of(problem: Problem) -> tuple[str, str, str, bool]:
    """What a problem says, in a tenth of `astuple`'s time: there may be 200,000."""
    return problem.where, problem.what, problem.fix, problem.fatal
