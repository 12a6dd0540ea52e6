# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What our processes ask of Fast DDS; seen by the threads that it then has, or has not."""

import subprocess
import sys

import pytest
from ros_processes import environment

from diffusion_planner_ros.nodes.common.join_graph import PROFILES

PROBE = """
from pathlib import Path
from rclpy.node import Node
from diffusion_planner_ros.nodes.common.join_graph import join_graph
join_graph()
node = Node('probe')
print(*(file.read_text().strip() for file in Path('/proc/self/task').glob('*/comm')), sep='\\n')
"""
OWN_PROFILES = '<dds><profiles><participant profile_name="own"/></profiles></dds>'


def threads_of_a_node(**variables):
    """Return the names of all threads of a process that has a node."""
    done = subprocess.run([sys.executable, '-c', PROBE], capture_output=True, text=True,
                          env={**environment(), **variables}, check=True)
    assert done.stderr == ''
    return done.stdout.split()


def n_asking(threads):
    return sum(name.startswith('dds.tls') for name in threads)


def test_it_asks_nobody_for_the_types_of_topics_unless_the_user_wants_it_to(tmp_path, monkeypatch):
    monkeypatch.delenv(PROFILES, raising=False)
    own = tmp_path / 'own.xml'
    own.write_text(OWN_PROFILES)
    if not n_asking(threads_of_a_node(**{PROFILES: str(own)})):
        pytest.skip('this Fast DDS asks nobody for types')
    assert not n_asking(threads_of_a_node())
