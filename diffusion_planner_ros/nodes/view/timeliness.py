# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How many torques came in time, and whether that is good."""

from collections.abc import Mapping
import math

from .verdict import number_in, Verdict

GOOD, FAIR = 0.01, 0.05  # shares that may be late


def timeliness(bridge: Mapping[str, str]) -> Verdict:
    """
    Judge how many torques came in time since the simulator was started.

    :param bridge: facts of its diagnostics; hardware has none.
    """
    steps, missed, deadline = (number_in(bridge, key) for key in (
        'total_steps', 'missed_deadlines', 'deadline_ms'))
    if math.isnan(steps + missed):
        return Verdict('idle', 'In time: not reported; the simulator alone counts late torques')
    if math.isnan(deadline):
        return Verdict('idle', 'In time: all, as the simulator waits for each torque (lockstep)')
    if steps == 0:
        return Verdict('idle', 'In time: no torque was due yet')
    late = missed / steps
    in_time = math.floor(1000 * (steps - missed) / steps) / 10  # rounded down: 100 % are all
    counts = (f'In time: {in_time:.1f} % of {steps:,.0f} periods of {deadline:g} ms; '
              f'late: {missed:,.0f}')
    if late <= GOOD:
        return Verdict('good', f'{counts}. Good')
    if late <= FAIR:
        return Verdict('warning', f'{counts}. Not good: up to 1 % may be late')
    return Verdict('bad', f'{counts}. Bad: up to 1 % may be late; this machine is too slow or too '
                   'busy, and the robot may fall')
