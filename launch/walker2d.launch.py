"""Start the simulated Walker2D, the planner that walks it, and rviz2 to watch both."""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction

from diffusion_planner_ros.launching import (
    Arguments,
    BOOLEANS,
    common_arguments,
    config_file,
    on_robot,
    our_node,
    spectator,
    text,
)
from diffusion_planner_ros.robot import shipped_urdf


def generate_launch_description() -> LaunchDescription:
    """Describe the nodes; the simulator and the planner are no use without each other."""
    return LaunchDescription([
        *common_arguments(settings='planner.yaml and mujoco_bridge.yaml', use_sim_time='true'),
        DeclareLaunchArgument(
            'lockstep', default_value='', choices=('', *BOOLEANS),
            description='whether the simulator waits for the planner instead of the wall clock; '
            'empty: as in the parameter files, or false.'),
        DeclareLaunchArgument(
            'real_time_factor', default_value='',
            description='simulated over wall time, without lockstep; empty: as in the parameter '
            'files, or 1.0'),
        DeclareLaunchArgument(
            'rviz', default_value='auto', choices=('auto', *BOOLEANS),
            description='whether to start rviz2; auto: where it is installed.'),
        DeclareLaunchArgument(
            'robot_state_publisher', default_value='auto', choices=('auto', *BOOLEANS),
            description='whether to publish the URDF and TF; auto: where it is installed.'),
        OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Start what the arguments ask for; a wrong one ends the launch before anything runs."""
    arguments = Arguments(context)
    time = {'use_sim_time': arguments.is_true('use_sim_time')}
    factor = ({'real_time_factor': arguments.number('real_time_factor')}
              if arguments['real_time_factor'] else {})
    nodes = [
        our_node(arguments, 'mujoco_bridge', 'mujoco_bridge.yaml',
                 arguments.given('lockstep') | factor),
        our_node(arguments, 'planner', 'planner.yaml',
                 time | arguments.given('autostart', 'lockstep', 'bundle', 'provider'))]
    if arguments['record']:
        nodes.append(our_node(
            arguments, 'recorder',
            {'file': text(arguments['record'])} | arguments.given('bundle'), is_required=False))
    urdf = shipped_urdf('walker2d').read_text(encoding='utf-8')
    nodes += spectator(arguments, 'rviz', 'rviz2', parameters=[time],
                       arguments=['-d', config_file('walker2d.rviz')])
    nodes += spectator(arguments, 'robot_state_publisher', 'robot_state_publisher',
                       parameters=[time | {'robot_description': text(urdf)}])
    return [on_robot(arguments, nodes)]
