"""Write what each kind of stage draws and computes now, under its present version.

    python tests/golden/record.py

Run it after a version in `vitrial.study.versions` has been raised. It refuses to write other values
under an old number.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch
from golden_values import RECORD, golden_values
from test_golden import differences


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = golden_values(Path(folder))
    recorded = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for kind, values in found.items():
        former = recorded.get(kind, {})
        if former.get("version") == values["version"] and (what := differences(values, former)):
            sys.exit(f"{kind}: {', '.join(what)} differ: raise VERSIONS[{kind!r}] first.")
    RECORD.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
