"""vitrial: a controlled trial of CNNs against Vision Transformers on your own medical images.

The Python interface reads like the command line::

    import vitrial

    protocol = vitrial.load_protocol("demo")
    study = vitrial.run(protocol)
    print(study.table())
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vitrial.compare.predictions import Comparison, compare_predictions
    from vitrial.data.manifest import Dataset
    from vitrial.errors import DataError, VitrialError
    from vitrial.explain.maps import explain_images
    from vitrial.explain.run import explain_study
    from vitrial.explain.trained import load_model
    from vitrial.protocol import Protocol
    from vitrial.protocol.file import load_protocol
    from vitrial.report.page import write_report
    from vitrial.store.study import Study, load_study
    from vitrial.study.execute import run

_HOMES = {
    "Comparison": "vitrial.compare.predictions",
    "DataError": "vitrial.errors",
    "Dataset": "vitrial.data.manifest",
    "Protocol": "vitrial.protocol",
    "Study": "vitrial.store.study",
    "VitrialError": "vitrial.errors",
    "compare_predictions": "vitrial.compare.predictions",
    "explain_images": "vitrial.explain.maps",
    "explain_study": "vitrial.explain.run",
    "load_model": "vitrial.explain.trained",
    "load_protocol": "vitrial.protocol.file",
    "load_study": "vitrial.store.study",
    "run": "vitrial.study.execute",
    "write_report": "vitrial.report.page",
}

__all__ = [
    "Comparison",
    "DataError",
    "Dataset",
    "Protocol",
    "Study",
    "VitrialError",
    "compare_predictions",
    "explain_images",
    "explain_study",
    "load_model",
    "load_protocol",
    "load_study",
    "run",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `vitrial --help` need not wait."""
    if name not in _HOMES:
        raise AttributeError(f"module 'vitrial' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
