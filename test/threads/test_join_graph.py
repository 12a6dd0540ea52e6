# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What our processes ask of Fast DDS; seen by the threads that it then has, or has not."""

import subprocess
import sys

import pytest
from ros_processes import environment

from diffusion_planner_ros.messages.transports import TRANSPORTS
from diffusion_planner_ros.nodes.common.join_graph import PROFILES, RANGE
from diffusion_planner_ros.share import share_file

PROBE = """
from pathlib import Path
from rclpy.node import Node
from diffusion_planner_ros.nodes.common.join_graph import join_graph
join_graph()
node = Node('probe')
print(*(file.read_text().strip() for file in Path('/proc/self/task').glob('*/comm')), sep='\\n')
"""
LISTENING = """
import os, socket
fds = (f'/proc/self/fd/{fd}' for fd in os.listdir('/proc/self/fd'))
own = {os.readlink(fd) for fd in fds if os.path.islink(fd)}
rows = (line.split() for line in Path('/proc/self/net/udp').read_text().splitlines()[1:])
print(*(socket.inet_ntoa(bytes.fromhex(address.partition(':')[0])[::-1])
        for _, address, *_, inode, _, _, _ in rows if f'socket:[{inode}]' in own))
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


def sockets_of_a_node(**variables):
    """Return the addresses on which a process that has a node listens for UDP."""
    done = subprocess.run(
        [sys.executable, '-c', f'{PROBE}\n{LISTENING}'], capture_output=True, text=True,
        env={**environment(), **variables}, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_where_discovery_is_of_this_machine_it_shares_no_memory_and_listens_here_alone(
        monkeypatch):
    for name in (PROFILES, TRANSPORTS, RANGE):
        monkeypatch.delenv(name, raising=False)

    def shares(threads):
        return any(name.startswith('dds.shm') for name in threads)
    if not shares(threads_of_a_node(**{TRANSPORTS: 'DEFAULT'})):
        pytest.skip('this middleware shares no memory')
    assert not shares(threads_of_a_node())
    assert sockets_of_a_node() == {'127.0.0.1'}
    # With a profile that a process of ours above it has chosen.
    assert sockets_of_a_node(**{PROFILES: str(share_file('config/fastdds_localhost.xml'))}
                             ) == {'127.0.0.1'}
    assert '0.0.0.0' in sockets_of_a_node(**{RANGE: 'SUBNET'})
