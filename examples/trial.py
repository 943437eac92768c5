# %% [markdown]
# # A trial in Python
#
# The same as `vitrial run` on the command line, cell by cell: open this file in an editor that
# knows `# %%` cells, or run it as a script.

# %%
import sys
from pathlib import Path

import vitrial

# %% [markdown]
# A protocol is written down before anything is trained. Ready ones have names; your own are files.

# %%
protocol = vitrial.load_protocol(sys.argv[1] if len(sys.argv) > 1 else "demo")
print(protocol.description)
print([arm.name for arm in protocol.arms])

# %% [markdown]
# Carry it out. An interrupted study resumes, so this cell may be run again.

# %%
study = vitrial.run(protocol, out=Path(sys.argv[2] if len(sys.argv) > 2 else "studies/demo"))

# %% [markdown]
# The table, and the per-image predictions that everything is computed from.

# %%
table = study.table()
print(table[["initialization", "backbone", "median", "std"]])

run, folder = study.runs()[0]
predictions = folder.predictions()
print(run.name, predictions[["image", "label", "split", "logit_0"]].head(3), sep="\n")

# %% [markdown]
# A finished study can be opened again, and its report written anew.

# %%
print(vitrial.write_report(vitrial.load_study(study.path)))
