# %% [markdown]
# # Images that a program has made
#
# A data set need not lie on disk: a `vitrial.Dataset` takes the place of the protocol's. Here the
# images are arrays in memory; a reader gives each as the bytes of a PNG file.

# %%
import hashlib
import io
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

import vitrial

# %% [markdown]
# What is read by name, and a stamp that changes when what is read may have changed.


# %%
class Arrays:
    """Reads images (height, width, 3), uint8, by name."""

    def __init__(self, images):
        self.images = images

    def read(self, name):
        """The content of a PNG file."""
        file = io.BytesIO()
        Image.fromarray(self.images[name]).save(file, "PNG")
        return file.getvalue()

    def stamp(self, name):
        """A digest of the pixels."""
        return hashlib.sha256(self.images[name].tobytes()).hexdigest()


# %% [markdown]
# Two images of each of 60 patients; those of class `spot` have a bright spot somewhere.

# %%
random = np.random.default_rng(0)
rows, images = [], {}
for patient in range(60):
    for view in range(2):
        pixels = random.integers(40, 90, (40, 40, 3), dtype=np.uint8)
        if patient % 2:
            x, y = random.integers(8, 28, 2)
            pixels[y : y + 6, x : x + 6] = 220
        name = f"{patient}-{view}.png"
        images[name] = pixels
        label = "spot" if patient % 2 else "none"
        rows.append({"image": name, "label": label, "group": f"patient {patient}"})
dataset = vitrial.Dataset("spots", pd.DataFrame(rows), ["none", "spot"], Arrays(images))

# %% [markdown]
# The trial is a protocol like any other; its `data` give way to the data set. Its name in the study
# changes with images and labels, so that runs on other data are never taken for these.

# %%
protocol = vitrial.Protocol.model_validate(
    {
        "name": "spots",
        "data": dataset,
        "image": {"resize": 40},
        "augment": {"crop": 32},
        "arms": [{"backbone": name} for name in ("test_efficientnet", "test_vit")],
        "recipe": {"epochs": 3, "warmup_steps": 5, "base_lr": 1e-3, "batch_size": 16},
        "endpoint": "balanced_accuracy",
        "repetitions": 1,
    }
)
study = vitrial.run(protocol, out=Path(sys.argv[1] if len(sys.argv) > 1 else "studies/spots"))
print(study.table()[["backbone", "median"]])
