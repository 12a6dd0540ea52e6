"""Start the simulated Walker2D and the planner that walks it."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, Shutdown
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'diffusion_planner_ros'


def generate_launch_description() -> LaunchDescription:
    """Describe the two nodes, and rviz2 if it is asked for; one without the other is no use."""
    config = PathJoinSubstitution([FindPackageShare(PACKAGE), 'config'])
    lockstep = ParameterValue(LaunchConfiguration('lockstep'), value_type=bool)
    return LaunchDescription([
        DeclareLaunchArgument(
            'bundle', default_value='',
            description='folder of the model bundle; empty takes the shipped Walker2D'),
        DeclareLaunchArgument(
            'provider', default_value='cpu',
            description='onnxruntime execution provider: cpu, cuda, tensorrt or auto'),
        DeclareLaunchArgument(
            'lockstep', default_value='false',
            description='whether the simulator waits for the planner instead of the wall clock'),
        DeclareLaunchArgument(
            'real_time_factor', default_value='1.0',
            description='simulated over wall time, without lockstep'),
        DeclareLaunchArgument('rviz', default_value='false', description='whether to start rviz2'),
        # First: where rviz2 is not installed, launch gives up and leaves behind what it started.
        Node(
            package='rviz2', executable='rviz2', output='screen',
            condition=IfCondition(LaunchConfiguration('rviz')),
            parameters=[{'use_sim_time': True}]),
        Node(
            package=PACKAGE, executable='mujoco_bridge', output='screen',
            on_exit=Shutdown(),
            parameters=[
                PathJoinSubstitution([config, 'mujoco_bridge.yaml']),
                {'lockstep': lockstep,
                 'real_time_factor': ParameterValue(LaunchConfiguration('real_time_factor'),
                                                    value_type=float)}]),
        Node(
            package=PACKAGE, executable='planner', output='screen',
            on_exit=Shutdown(),
            parameters=[
                PathJoinSubstitution([config, 'planner.yaml']),
                {'use_sim_time': True, 'lockstep': lockstep,
                 'bundle': ParameterValue(LaunchConfiguration('bundle'), value_type=str),
                 'provider': ParameterValue(LaunchConfiguration('provider'), value_type=str)}]),
    ])
