# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the episodes of a data set came to: the behaviour that methods learn from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ....data.minari_format import read_metadata
from ....episode import Episode
from ....robots.task import Task
from ...standard_error import standard_error


def behaviour_facts(path: Path, episodes: Sequence[Episode], robot: str) -> dict[str, Any]:
    """
    Return mean, standard error and 95th percentile of the data's returns, and the falls.

    ``policy_return`` is that of the best policy in the data without noise, None where the data do
    not say.

    :param robot: name of the robot, for the normalised score.
    """
    returns = np.array([episode.total_return for episode in episodes])
    n_falls = sum(episode.terminated for episode in episodes)
    mean = float(returns.mean())
    return {'episodes': len(returns), 'return_mean': mean,
            'return_stderr': standard_error(returns),
            'return_percentile_95': float(np.percentile(returns, 95)),
            'normalized_score': Task.load(robot).normalized_score(mean),
            'falls': n_falls, 'fall_rate': n_falls / len(returns),
            'policy_return': read_metadata(path).get('policy_return')}
