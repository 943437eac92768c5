"""Methods of self-supervision, a folder each: an arm's `+name`, and the protocol's section `name`.

Each folder has two files. `recipe.py`, which takes no torch: `RECIPE`, the section's model, a
`SelfSupervision` of `vitrial.protocol.selfsupervision`. And `network.py`: `NETWORK`, a `Siamese`
that is made of timm's name of the backbone, the input channels, the side of the large views and the
recipe.
"""

# The protocol reads the recipes when it is imported, and they its parts: it has to come first.
import vitrial.protocol  # noqa: F401
from vitrial.registry import Registry

NETWORKS = Registry("vitrial.train.selfsupervised.methods", ("NETWORK",), file="network")
