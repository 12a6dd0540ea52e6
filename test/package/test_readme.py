"""The README's tables are what the code says; `python test/test_readme.py` prints them anew."""

import re

from paths import SOURCE
import pytest
from ros_processes import observer, running, spin_until

from diffusion_planner_ros.nodes.planner_node import CONFIGS
from diffusion_planner_ros.nodes.recorder_node import RecorderConfig
from diffusion_planner_ros.planning.stop import StopConfig
from diffusion_planner_ros.settings import settings_of
from diffusion_planner_ros.sim.bridge_config import BridgeConfig

README = SOURCE / 'README.md'
NODES = {'planner': CONFIGS, 'mujoco_bridge': (BridgeConfig, StopConfig),
         'recorder': (RecorderConfig,)}
# What every rclpy node, or every managed one, has, of no interest to a reader.
STANDARD = re.compile(
    r'/(rosout|parameter_events|transition_event)$|^(rcl_interfaces|type_description_interfaces|'
    r'lifecycle_msgs)/')
HEADER = '| name | default | unit | range | while running | meaning |\n|---|---|---|---|---|---|'


def table_after(heading):
    section = README.read_text().split(f'### {heading}\n')[1]
    return re.search(r'(\|.*\|\n)+', section).group().strip()


def parameter_table(node):
    rows = [HEADER]
    for config in NODES[node]:
        for setting in settings_of(config):
            default = str(list(setting.default)) if setting.is_list else repr(setting.default)
            changes = 'no' if setting.read_only else 'yes'
            cells = (f'`{setting.name}`', default, setting.unit, setting.allowed, changes,
                     setting.description)
            rows.append(f'| {" | ".join(cells)} |')
    return '\n'.join(rows)


def documented_interfaces():
    """Return (node, direction, name, type, reliability) of every row of the README's table."""
    rows = table_after('Topics and services').splitlines()[2:]
    cells = [[c.strip().strip('`') for c in row.strip('|').split('|')] for row in rows]
    return {(node, direction, name.replace('~', f'/{node}') if name.startswith('~')
             else f'/{name.removeprefix("/")}', kind, qos.split(',')[0])
            for node, direction, name, kind, qos, _ in cells}


def interfaces_of(observer, node):
    """Return the same of a running node, as the ROS graph knows it."""
    found = set()
    for direction, query, endpoints in (
            ('out', observer.get_publisher_names_and_types_by_node,
             observer.get_publishers_info_by_topic),
            ('in', observer.get_subscriber_names_and_types_by_node,
             observer.get_subscriptions_info_by_topic)):
        for name, types in query(node, '/'):
            if STANDARD.search(name):
                continue
            qos = next(e.qos_profile for e in endpoints(name) if e.node_name == node)
            found.add((node, direction, name, types[0].replace('/msg/', '/'),
                       qos.reliability.name.lower().replace('_', ' ')))
    for name, types in observer.get_service_names_and_types_by_node(node, '/'):
        if not STANDARD.search(types[0]):
            found.add((node, 'service', name, types[0].replace('/srv/', '/'), ''))
    return found


@pytest.mark.parametrize('node', NODES)
def test_parameter_table_is_what_the_node_declares(node):
    assert table_after(f'Parameters of `{node}`') == parameter_table(node)


def test_topic_table_is_what_the_nodes_offer(tmp_path):
    with (running('mujoco_bridge', tmp_path) as bridge,
          running('planner', tmp_path, use_sim_time=True,
                  odometry_joints=['rootx=x']) as planner,
          running('recorder', tmp_path, file=str(tmp_path / 'log.hdf5'), torque_source='commands',
                  odometry_joints=['rootx=x']), observer() as node):
        expected = documented_interfaces()

        def found():
            names = node.get_node_names()
            return set().union(*(interfaces_of(node, n) for n in NODES if n in names))

        # It listens for others only until it has commanded alone for some seconds.
        passing = {i for i in expected
                   if i[:3] == ('planner', 'in', '/effort_controller/commands')}
        assert passing
        spin_until(node, lambda: len(found() | passing) >= len(expected), 'all nodes', planner)
        assert found() | passing == expected, bridge.output


def test_every_test_that_is_named_exists():
    folder = SOURCE / 'test'
    named = set(re.findall(r'`(test_\w+\*?)`', README.read_text()))
    assert named
    assert {name for name in named if not list(folder.rglob(f'{name}.py'))} == set()


if __name__ == '__main__':
    for name in NODES:
        print(f'### Parameters of `{name}`\n\n{parameter_table(name)}\n')
