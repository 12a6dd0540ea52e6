"""Start the simulated Walker2D, the planner, and rviz2 to watch them."""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import OpaqueFunction

from diffusion_planner_ros.launching import (
    Arguments,
    BOOLEANS,
    common_arguments,
    config_file,
    on_robot,
    optional_program,
    our_node,
    parameter_argument,
    program_argument,
    text,
)
from diffusion_planner_ros.robots.robot_folder import urdf_file


def generate_launch_description() -> LaunchDescription:
    """Describe the nodes."""
    return LaunchDescription([
        *common_arguments(settings='planner.yaml and mujoco_bridge.yaml', use_sim_time='true'),
        parameter_argument('lockstep',
                           'whether the simulator waits for the planner, not for the wall clock',
                           choices=BOOLEANS, default='false'),
        parameter_argument('real_time_factor', 'simulated over wall time, without lockstep',
                           default='1.0'),
        program_argument('rviz', 'whether to start rviz2'),
        program_argument('robot_state_publisher', 'whether to publish the URDF and TF'),
        OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return what the arguments ask for; if one is wrong, the launch ends and nothing starts."""
    arguments = Arguments(context)
    time = {'use_sim_time': arguments.is_true('use_sim_time')}
    factor = ({'real_time_factor': arguments.number('real_time_factor')}
              if arguments['real_time_factor'] else {})
    nodes = [
        our_node(arguments, 'mujoco_bridge', 'mujoco_bridge.yaml',
                 arguments.given('lockstep') | factor | arguments.scheduling),
        our_node(arguments, 'planner', 'planner.yaml',
                 time | arguments.given('autostart', 'lockstep', 'bundle', 'provider')
                 | arguments.scheduling)]
    if arguments['record']:
        nodes.append(our_node(
            arguments, 'recorder',
            {'file': text(arguments['record'])} | arguments.given('bundle'), is_required=False))
    urdf = urdf_file('walker2d').read_text(encoding='utf-8')
    nodes += optional_program(arguments, 'rviz', 'rviz2', parameters=[time],
                       arguments=['-d', config_file('walker2d.rviz')])
    nodes += optional_program(arguments, 'robot_state_publisher', 'robot_state_publisher',
                       parameters=[time | {'robot_description': text(urdf)}])
    return [on_robot(arguments, nodes)]
