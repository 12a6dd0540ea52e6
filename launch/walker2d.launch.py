"""Start the simulated Walker2D, the planner that walks it, and rviz2 to watch both."""

from pathlib import Path

from ament_index_python.packages import get_package_prefix, PackageNotFoundError
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, Shutdown
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, NotEqualsSubstitution, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

import diffusion_planner_ros

PACKAGE = 'diffusion_planner_ros'
URDF = Path(diffusion_planner_ros.__file__).parent / 'robots' / 'walker2d.urdf'


def if_installed(package: str) -> str:
    """Return 'true' where a package is installed: launch gives up on one that is not."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        return 'false'
    return 'true'


def generate_launch_description() -> LaunchDescription:
    """Describe the nodes; the simulator and the planner are no use without each other."""
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
        DeclareLaunchArgument(
            'record', default_value='',
            description='HDF5 file to record executed plans to; empty records nothing'),
        DeclareLaunchArgument(
            'rviz', default_value=if_installed('rviz2'),
            description='whether to start rviz2; by default where it is installed'),
        DeclareLaunchArgument(
            'robot_state_publisher', default_value=if_installed('robot_state_publisher'),
            description='whether to publish the URDF and TF; by default where it is installed'),
        # These two first: where one is asked for that is not installed, launch gives up and leaves
        # behind what it started.
        Node(
            package='rviz2', executable='rviz2', output='screen',
            condition=IfCondition(LaunchConfiguration('rviz')),
            arguments=['-d', PathJoinSubstitution([config, 'walker2d.rviz'])],
            parameters=[{'use_sim_time': True}]),
        Node(
            package='robot_state_publisher', executable='robot_state_publisher', output='screen',
            condition=IfCondition(LaunchConfiguration('robot_state_publisher')),
            parameters=[{'use_sim_time': True, 'robot_description': ParameterValue(
                URDF.read_text(), value_type=str)}]),
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
        Node(
            package=PACKAGE, executable='recorder', output='screen',
            condition=IfCondition(NotEqualsSubstitution(LaunchConfiguration('record'), '')),
            parameters=[
                {'file': ParameterValue(LaunchConfiguration('record'), value_type=str),
                 'bundle': ParameterValue(LaunchConfiguration('bundle'), value_type=str)}]),
    ])
