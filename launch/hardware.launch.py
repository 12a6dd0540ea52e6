# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Start ros2_control with a robot's drives, and the planner, which a person activates."""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import Command
from launch_ros.actions import Node

from diffusion_planner_ros.launching import (
    Arguments,
    common_arguments,
    end_everything,
    end_if_failed,
    mcap_recorder,
    on_robot,
    our_node,
    require,
    text,
    viewer,
)


def generate_launch_description() -> LaunchDescription:
    """Describe the driver, its controllers and the planner."""
    return LaunchDescription([
        DeclareLaunchArgument(
            'urdf', description='URDF or xacro file of the robot, with a <ros2_control> tag'),
        DeclareLaunchArgument(
            'controllers', default_value='ros2_control.yaml',
            description='YAML file with the parameters of controller_manager and '
            'effort_controller, a path or the name of a file of config/'),
        *common_arguments(settings='hardware.yaml', use_sim_time='false'),
        DeclareLaunchArgument(
            'odometry', default_value='odometry',
            description='topic of the state estimator, nav_msgs/Odometry'),
        DeclareLaunchArgument(
            'clock', default_value='clock',
            description='topic of simulated time, with use_sim_time; /clock: one simulator has '
            'several robots, and all share its time'),
        OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return what the arguments ask for; if one is wrong, the launch ends and nothing starts."""
    arguments = Arguments(context)
    require('robot_state_publisher', 'controller_manager')
    controllers = arguments.file('controllers')
    time = {'use_sim_time': arguments.is_true('use_sim_time')}
    urdf = Command(['xacro "', arguments['urdf'], '"']).perform(context)
    description = {'robot_description': text(urdf)}
    odometry = [('odometry', arguments['odometry'])]
    nodes = [
        # ros2_control reads the URDF, which names its drives, from topic robot_description.
        Node(package='robot_state_publisher', executable='robot_state_publisher',
             output='screen', on_exit=end_everything, parameters=[time | description]),
        Node(package='controller_manager', executable='ros2_control_node', output='screen',
             on_exit=end_everything, parameters=[controllers, time]),
        # The effort controller sets no torque before the planner's first command.
        Node(package='controller_manager', executable='spawner', output='screen',
             on_exit=end_if_failed,
             arguments=['joint_state_broadcaster', 'effort_controller',
                        '--param-file', controllers]),
        # If the planner dies, the controller holds the last torque. So its end ends the launch,
        # and with it ros2_control, which stops the drives.
        our_node(arguments, 'planner', 'hardware.yaml',
                 time | description | arguments.given('autostart', 'bundle', 'provider')
                 | arguments.scheduling,
                 remappings=odometry)]
    if arguments['record']:  # the robot does not need it
        nodes.append(our_node(
            arguments, 'recorder', 'hardware.yaml',
            {'file': text(arguments['record'])} | arguments.given('bundle'),
            remappings=odometry, is_required=False))
    if arguments['mcap']:
        nodes.append(mcap_recorder(arguments, arguments['mcap'], remappings=odometry))
    nodes += viewer(arguments, odometry)
    return [on_robot(arguments, nodes, clock=arguments['clock'])]
