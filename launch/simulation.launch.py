# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Start simulated robots, their planner, and rviz2 to watch them."""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction

from diffusion_planner_ros.launching import (
    Arguments,
    BOOLEANS,
    common_arguments,
    config_file,
    in_namespace,
    mcap_recorder,
    of_robot,
    on_robot,
    optional_program,
    our_node,
    parameter_argument,
    program_argument,
    text,
    viewer,
)
from diffusion_planner_ros.robots.robot_folder import DEFAULT_ROBOT, make_known, urdf_file
from diffusion_planner_ros.share import shipped_bundle


def generate_launch_description() -> LaunchDescription:
    """Describe the nodes."""
    return LaunchDescription([
        DeclareLaunchArgument(
            'robot', default_value=DEFAULT_ROBOT,
            description='robot that is simulated: its name, or the path of its folder'),
        *common_arguments(settings='planner.yaml and mujoco_bridge.yaml', use_sim_time='true',
                          bundle='the one that ships for the robot'),
        parameter_argument('lockstep',
                           'whether the simulator waits for the planner, not for the wall clock',
                           choices=BOOLEANS, default='false'),
        parameter_argument('real_time_factor', 'simulated over wall time, without lockstep',
                           default='1.0'),
        DeclareLaunchArgument(
            'robots', default_value='1',
            description='how many robots, for which one process plans; several are in '
            'namespaces robot1, robot2, ... below namespace, and begin with seeds 0, 1, ...'),
        program_argument('rviz', 'whether to start rviz2'),
        program_argument('robot_state_publisher', 'whether to publish the URDF and TF'),
        OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return what the arguments ask for; if one is wrong, the launch ends and nothing starts."""
    arguments = Arguments(context)
    robot = make_known(arguments['robot'])
    # Parameter files may name a bundle of the default robot, but not of any other one.
    bundle = ({'bundle': text(str(shipped_bundle(robot)))}
              if robot != DEFAULT_ROBOT and not arguments['bundle'] else
              arguments.given('bundle'))
    time = {'use_sim_time': arguments.is_true('use_sim_time')}
    factor = ({'real_time_factor': arguments.number('real_time_factor')}
              if arguments['real_time_factor'] else {})
    urdf = urdf_file(robot)
    names = arguments.robots()
    several = {'robots': names} if len(names) > 1 else {}
    groups = [our_node(arguments, 'planner', 'planner.yaml',
                       time | arguments.given('autostart', 'lockstep', 'provider') | bundle
                       | several | arguments.scheduling)]
    for number, name in enumerate(names):
        seed = {'seed': number} if several else {}
        nodes = [our_node(arguments, 'mujoco_bridge', 'mujoco_bridge.yaml',
                          {'robot': text(robot)} | arguments.given('lockstep') | factor | seed
                          | arguments.scheduling)]
        if arguments['record']:
            file = text(of_robot(name, arguments['record']))
            nodes.append(our_node(arguments, 'recorder', {'file': file} | bundle,
                                  is_required=False))
        if arguments['mcap']:
            nodes.append(mcap_recorder(arguments, of_robot(name, arguments['mcap'])))
        nodes += viewer(arguments)
        nodes += optional_program(arguments, 'rviz', 'rviz2', parameters=[time],
                                  arguments=['-d', config_file('simulation.rviz')])
        if urdf is not None:
            description = {'robot_description': text(urdf.read_text(encoding='utf-8'))}
            nodes += optional_program(
                arguments, 'robot_state_publisher', 'robot_state_publisher',
                parameters=[time | description])
        groups.append(in_namespace(name, nodes))
    return [on_robot(arguments, groups)]
