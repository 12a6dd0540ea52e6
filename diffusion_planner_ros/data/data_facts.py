# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What is written down about the data of a training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..episode import Episode
from .minari_format import read_metadata


def data_facts(data: Mapping[Path, Sequence[Episode]]) -> dict[str, Any]:
    """
    Describe data sets for a bundle's ``model.yaml``.

    :param data: the episodes that are learned from, by the path of their data set.
    :raises DatasetError: if the metadata of a data set are damaged.
    """
    policy_returns = [m['policy_return'] for m in map(read_metadata, data) if 'policy_return' in m]
    return {
        'data': [{'name': path.name, 'episodes': len(episodes),
                  'transitions': sum(map(len, episodes)),
                  'mean_return': float(np.mean([e.total_return for e in episodes]))}
                 for path, episodes in data.items()],
        'best_policy_return': max(policy_returns, default=None)}
