# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What was dropped of a recording, counted by reason."""

from collections import Counter
from collections.abc import Mapping

REMEDIES: Mapping[str, str] = {
    'late joiner': 'record until all topics have come, and let the robot go on meanwhile',
    'other joints': 'name the joints in the YAML file of --robot as the driver does',
    'joints missing': 'name the joints in the YAML file of --robot as the driver does; for joints '
                      'of the base that odometry measures there is --odometry-joints',
    'joint twice': 'let one driver alone name the joint',
    'not finite': 'look at the sensor or its driver',
    'unstamped': '--time received takes the time at which a message was recorded, --time clock '
                 'that of the simulation',
    'repeated': 'let the driver stamp every message anew, or take --time received, the time at '
                'which a message was recorded',
    'out of order': 'does only one node publish the topic? --time received takes the time at '
                    'which a message was recorded',
    'no torque': '--torque-source commands takes the torque from the commands, --torque-source '
                 'effort from the joint states',
    'number of commands': 'name the joints under action in the YAML file of --robot, in the order '
                          'of the controller',
    'no odometry': 'let odometry and joint states have the same clock, and record both; '
                   '--max-odometry-gap says how far apart they may be',
    'odometry refused': 'look at the driver of the odometry',
    'no reward': 'leave the reward topic out (--reward ""), or let its publisher stamp rewards as '
                 'the states are stamped',
    'reward refused': 'publish rewards as the node mujoco_bridge does, see '
                      'docs/reference/topics.md',
    'alone': 'record at the control rate of the robot or faster, or widen --max-gap',
    'too close': 'let one driver alone publish the joint states',
    'not readable': 'is the recording of the type that it says?',
}
"""What a user can do about messages or steps that are dropped, by the reason that is counted."""

FOLLOWING = ('alone', 'late joiner', 'repeated')  # reasons that mostly follow from others


class Tally:
    """
    Counts messages and steps that are dropped, and the cuts between episodes.

    Of every reason, the first case is kept in words.
    """

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        """How many messages or steps were dropped, by reason."""
        self.cuts: Counter[str] = Counter()
        """How many episodes were ended, by reason."""
        self._cases: dict[str, str] = {}

    def drop(self, reason: str, case: object = '', n: int = 1) -> None:
        """
        Count ``n`` messages or steps that are dropped.

        :param reason: a key of ``REMEDIES``, or another word for what needs no remedy.
        :param case: what was found and expected, in words.
        """
        if n:
            self.dropped[reason] += n
            self._cases.setdefault(reason, str(case))

    def cut(self, reason: str) -> None:
        """Count the end of an episode."""
        self.cuts[reason] += 1

    def explained(self) -> str:
        """Return what was dropped most, for a recording of which nothing is left."""
        by_number = [(reason, n) for reason, n in self.dropped.most_common() if reason in REMEDIES]
        by_number.sort(key=lambda pair: pair[0] in FOLLOWING)
        if not by_number:
            return 'expected states at the control rate, and torques'
        reason, _ = by_number[0]
        counts = ', '.join(f'{reason} {n}' for reason, n in by_number)
        case = self._cases[reason]
        return f'dropped: {counts}{f" ({case})" if case else ""}; {REMEDIES[reason]}'
