# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Closed-loop evaluation through the two ROS 2 nodes."""

from collections.abc import Sequence
from typing import Any

from ..closed_loop import summarize
from ..progress import Progress, silent
from .ros_session import session, SessionConfig


def evaluate_through_ros(config: SessionConfig, seeds: Sequence[int], robot: str, *,
                         progress: Progress = silent) -> dict[str, Any]:
    """
    Run one episode for every seed; return what they came to and the latencies.

    :param config: of the two nodes; its first seed is that of ``seeds``.
    :param robot: name of the robot.
    :param progress: is told of every episode.
    """
    results = []
    with (session(config, record=False) as nodes,
          progress('walking', len(seeds), unit='episodes') as advance):
        for seed in seeds:
            if seed != config.first_seed:
                nodes.reset(seed)
            results.append(nodes.finish_episode(seed, lambda bridge: None))
            advance(1, ret=f'{results[-1].episode_return:.0f}')
        timing, course = nodes.timing(), nodes.course(results)
        if not config.lockstep:
            timing['stop_causes'] = nodes.stop_causes()
    return {**timing, **summarize(results, robot), 'course': course}
