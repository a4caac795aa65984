"""A tree is a flat mapping from path to array; one path names the array everywhere.

The path of a leaf is its role and then the keys that lead to it: ``obs`` for a plain observation,
``obs/velocity`` for the key of a Dict, ``obs/0`` for an element of a Tuple, ``state/lstm/h``, ``action``.
The same string names the ONNX input, the MLflow tensor and the column of a data set.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Tree = dict[str, np.ndarray]

OBS = "obs"
ACTION = "action"
STATE = "state"
ACTION_MASK = "obs/action_mask"
"""Reserved: 1 where a discrete action is legal. Read by distributions, hidden from encoders and filters."""


def nbytes(tree: Mapping[str, np.ndarray]) -> int:
    """Bytes held by all leaves."""
    return sum(leaf.nbytes for leaf in tree.values())
