"""The name of every file and folder of a study."""

from __future__ import annotations

STUDY = "study.json"
"""What was registered, and facts about the data; holds the checksums of manifest and problems."""
PROTOCOL = "protocol.yaml"
"""The protocol as it was run, to be read; `STUDY` decides."""
MANIFEST = "manifest.parquet"
PROBLEMS = "problems.csv"
TUNED = "tuned.yaml"

RUNS, PRETRAINED, TUNING = "runs", "pretrained", "tuning"
RUN = "run.json"
"""What a stage is, written first."""
CHECKPOINT, CHECKPOINT_BEFORE = "checkpoint.pt", "checkpoint-before.pt"
"""Of the last epoch and of the one before it, until the stage is done."""
METRICS = "metrics.jsonl"
WEIGHTS = "weights.safetensors"
"""What a stage leaves: those of the best validation score, or of the last teacher."""
PREDICTIONS = "predictions.parquet"
RESULT = "result.json"
"""Written last; holds the metrics, and the checksums of the files of the stage."""
FAILURE = "failure.json"
LOCK = "lock"

AUDIT = "audit"
"""The folder of the audit of the data."""
AUDIT_FACTS, AUDIT_IMAGES = "audit.json", "images.parquet"

EXPLANATIONS = "explanations"
"""The folder of the explanations of answers on test images."""
EXPLAINED = "explanations.json"
"""Written last; holds the checksums of the three."""
PARTS = "parts"
MEASURES, SANITY, SHOWN = "measures.parquet", "sanity.parquet", "shown.npz"

REPORT = "report"
PAGE = "index.html"

DAMAGED = ".damaged"
"""Ends the name of a file that was set aside."""

ANALYSES = "analyses"
"""The folder of the secondary analyses: a CSV each."""
ANALYSES_FACTS = "analyses.json"
"""What was asked for, and of which runs; written last, with the checksums of the tables."""
COST = "cost.json"
"""What each backbone takes of this device."""
