"""Items of two reporting guidelines, in our words, and where a report answers them.

TRIPOD+AI: Collins et al., BMJ 2024;385:e078378 (27 items). CLAIM: Tejani et al., "Checklist for
Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update", Radiology: Artificial
Intelligence 2024;6(4):e240300 (44 items).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """What a guideline asks.

    Attributes:
        tripod: Its numbers in TRIPOD+AI.
        claim: Its numbers in CLAIM 2024.
        asks: In our words.
        sections: Those of the page that answer it, the first best; none if only its authors can.
        still: What the page cannot say of it.
    """

    tripod: str
    claim: str
    asks: str
    sections: tuple[str, ...] = ()
    still: str = ""


ITEMS = (
    Item("1, 2", "1, 2", "Title and abstract that say what kind of study it is"),
    Item("3a", "3", "Clinical background, and why the model is needed"),
    Item("3b", "3", "For whom and for which use the model is meant"),
    Item("3c", "", "Known inequalities in health between groups of patients"),
    Item("4", "4, 6", "Objectives and hypotheses", ("protocol", "verdict")),
    Item("", "5", "Prospective or retrospective"),
    Item(
        "5a",
        "7",
        "Source of the data",
        ("data",),
        "why these data, and how representative they are",
    ),
    Item("5b", "", "When the images were taken"),
    Item("6a", "", "Where: hospitals and setting"),
    Item("6b", "8, 10", "Who and what was included and excluded", ("flow",), "clinical criteria"),
    Item("6c", "", "Treatments that patients had, where they matter"),
    Item("7", "9", "How images were prepared", ("protocol",), "what was done to them before"),
    Item("", "11", "How images were de-identified"),
    Item("11", "12", "Missing data and images that cannot be used", ("flow", "data")),
    Item("", "13", "How images were acquired: devices and settings"),
    Item("8a", "14, 15", "The reference standard, and why this one"),
    Item("8b, 8c", "16, 17, 18", "Who labeled the images, blinded or not, and how they agree"),
    Item("9", "", "What the model is given", ("protocol",), "what the images show"),
    Item("10", "21", "Sample size", ("trust", "verdict"), "what it was planned by"),
    Item("12a", "19, 20", "Training, validation and test: how divided, at which level", ("flow",)),
    Item("12b, 12c", "22, 25", "Model, training and hyperparameters", ("protocol",)),
    Item("", "23", "Software and its versions", ("environment",)),
    Item("", "24", "Where the weights start", ("result", "protocol")),
    Item("12c", "26", "How the final model was selected", ("result", "curves")),
    Item("", "27", "Ensembles: none; each run answers alone", ("scores",)),
    Item("12d", "30", "Differences between subgroups and robustness", ("secondary", "data_size")),
    Item("12e", "28, 29", "Metrics, and how uncertainty is measured", ("verdict", "scores")),
    Item("12f, 24", "", "Updating of the model: none", ("protocol",)),
    Item("12g", "", "How predictions were computed", ("result", "protocol")),
    Item("13", "", "Class imbalance", ("data", "protocol")),
    Item("14", "", "Fairness", ("secondary",), "which groups matter, and why"),
    Item("15", "", "What the model puts out, and thresholds", ("secondary", "confusion")),
    Item("", "31", "Explanations of single answers", ("explanations",)),
    Item("16", "32", "How training and test images differ", ("data", "trust")),
    Item("", "33", "Images from elsewhere: external data"),
    Item("17", "", "Ethical approval"),
    Item("18a", "44", "Funding"),
    Item("18b", "", "Conflicts of interest"),
    Item("18c", "42", "The full protocol", ("protocol",)),
    Item("18d", "34", "Registration of the study", (), "a public registry and its number"),
    Item("18e, 18f", "43", "Access to data, code and models", ("protocol",), "data and weights"),
    Item("19", "", "How patients and the public were involved"),
    Item("20a", "35", "Flow of patients and images", ("flow",)),
    Item("20b, 20c", "36", "Who the patients are, in each split", ("data",), "clinical facts"),
    Item("21", "", "Images and patients in each analysis", ("flow", "data")),
    Item("22", "", "The model itself, so that others can use it", (), "vitrial export writes it"),
    Item("23a", "37, 38", "Performance with intervals", ("verdict", "scores", "secondary")),
    Item("23b", "", "Differences in performance between sites or groups", ("secondary",)),
    Item("", "39", "What the model gets wrong", ("confusion", "explanations")),
    Item("25", "41", "Interpretation, and what it means for practice", (), "beyond the answer"),
    Item("26", "40", "Limitations", ("trust",), "those that no file shows"),
    Item("27", "", "Use in care: bad images, skill needed, next steps"),
)
