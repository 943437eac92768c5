"""Looking at a study takes no torch, which takes seconds to import."""

import subprocess
import sys

CODE = """
import sys
from vitrial.cli import app

for arguments in (["status", sys.argv[1]], ["table", sys.argv[1]]):
    app(arguments, standalone_mode=False)
found = [name for name in ("torch", "timm", "sklearn.ensemble") if name in sys.modules]
sys.exit(f"imported: {found}" if found else 0)
"""


def test_status_and_table_need_no_torch(odd_study):
    command = [sys.executable, "-c", CODE, str(odd_study.path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "2 done" in ended.stdout
