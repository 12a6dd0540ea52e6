# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The bench that plays hardware, with faults, as a process of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
import json
import os
from pathlib import Path
import subprocess
import sys

import numpy as np
from ros_processes import environment
from sensor_msgs.msg import JointState

from diffusion_planner_ros.experiments.ros.hardware_bench import (
    HardwareBench,
    ODOMETRY_STEPS,
    run_bench,
)
from diffusion_planner_ros.experiments.ros.node_process import child_process
from diffusion_planner_ros.nodes.common.conversions import NANOSECONDS, stamp_from_nanoseconds

# NaN as the velocity of leg_joint, no joint states, no odometry, no measurement at all
FAULTS = ('encoder', 'joint_states', 'odometry', 'all')


def truth_of(robot, stamp):
    """Return every joint, base included, exactly."""
    walker = robot.environment
    msg = JointState(name=walker.joint_names, position=walker.qpos.tolist(),
                     velocity=walker.qvel.tolist())
    msg.header.stamp = stamp_from_nanoseconds(stamp)
    return msg


class FaultyBench(HardwareBench):
    """
    A bench whose sensors break, and which says the truth on a topic of its own.

    :param skew: how far the stamps are ahead of the system clock [s].
    :param fault: what breaks: one of ``FAULTS``, or nothing.
    :param fault_time: when it does, after the first command [s]; at 0 it is so from the start.
    :param hangs: hold the base where it is, and take the weight from all, so that nothing falls.
    """

    def __init__(self, *, skew=0.0, fault='', fault_time=0.0, hangs=False, **settings):
        super().__init__(**settings)
        assert fault in ('', *FAULTS), f'{fault} is none of {FAULTS}'
        self._skew = round(skew * NANOSECONDS)
        self._fault, self._fault_time = fault, fault_time
        if hangs:
            model = self.robot.environment.model
            model.opt.gravity[:] = 0.0
            model.dof_armature[:3] = 1e6  # [kg, kg m^2]
        self._truth = self.create_publisher(JointState, 'truth', 100)

    def measure(self, step, now):
        stamp = now + self._skew
        fault = self._fault if self.simulated >= self._fault_time else ''
        msg = self.robot.joint_states(stamp)
        if fault == 'encoder':
            msg.velocity[msg.name.index('leg_joint')] = np.nan
        if fault not in ('joint_states', 'all'):
            self.queue(now, self.states, msg)
        self._truth.publish(truth_of(self.robot, stamp))
        if step % ODOMETRY_STEPS == 0 and fault not in ('odometry', 'all'):
            self.queue(now, self.odometry, self.robot.odometry(stamp))


@contextmanager
def driver_process(**settings: object) -> Iterator[subprocess.Popen]:
    """Run a bench as a process of its own, with the settings of ``FaultyBench``."""
    with child_process(str(Path(__file__)), json.dumps(settings), environment={
            **environment(), 'PYTHONPATH': os.pathsep.join(sys.path)}) as process:
        yield process


if __name__ == '__main__':
    run_bench(FaultyBench)
