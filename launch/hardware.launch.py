"""Start ros2_control with a robot's drives, and the planner, which waits to be activated."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, Shutdown
from launch.conditions import IfCondition
from launch.substitutions import (
    Command,
    LaunchConfiguration,
    NotEqualsSubstitution,
    PathJoinSubstitution,
)
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'diffusion_planner_ros'


def generate_launch_description() -> LaunchDescription:
    """Describe the driver, its controllers and the planner."""
    config = PathJoinSubstitution([FindPackageShare(PACKAGE), 'config'])
    controllers = LaunchConfiguration('controllers')
    description = ParameterValue(Command(['xacro "', LaunchConfiguration('urdf'), '"']),
                                 value_type=str)
    return LaunchDescription([
        DeclareLaunchArgument(
            'urdf', description='URDF or xacro file of the robot, with a <ros2_control> tag'),
        DeclareLaunchArgument(
            'controllers', default_value=PathJoinSubstitution([config, 'ros2_control.yaml']),
            description='parameters of controller_manager and effort_controller'),
        DeclareLaunchArgument(
            'settings', default_value=PathJoinSubstitution([config, 'hardware.yaml']),
            description='parameters of planner and recorder'),
        DeclareLaunchArgument(
            'bundle', default_value='',
            description='folder of the model bundle; empty takes the shipped Walker2D'),
        DeclareLaunchArgument(
            'provider', default_value='cpu',
            description='onnxruntime execution provider: cpu, cuda, tensorrt or auto'),
        DeclareLaunchArgument(
            'odometry', default_value='odometry',
            description='topic of the state estimator, nav_msgs/Odometry'),
        DeclareLaunchArgument(
            'record', default_value='',
            description='HDF5 file to record executed plans to; empty records nothing'),
        # It publishes the URDF as topic robot_description, where ros2_control finds its drives.
        Node(
            package='robot_state_publisher', executable='robot_state_publisher', output='screen',
            on_exit=Shutdown(),
            parameters=[{'robot_description': description}]),
        Node(
            package='controller_manager', executable='ros2_control_node', output='screen',
            on_exit=Shutdown(), parameters=[controllers]),
        # The effort controller is silent until the planner's first command.
        Node(
            package='controller_manager', executable='spawner', output='screen',
            arguments=['joint_state_broadcaster', 'effort_controller',
                       '--param-file', controllers]),
        # Without the planner the controller would hold its last torque for ever; a shutdown ends
        # ros2_control as well, and with it the drives.
        Node(
            package=PACKAGE, executable='planner', output='screen', on_exit=Shutdown(),
            remappings=[('odometry', LaunchConfiguration('odometry'))],
            parameters=[
                LaunchConfiguration('settings'),
                {'robot_description': description,
                 'bundle': ParameterValue(LaunchConfiguration('bundle'), value_type=str),
                 'provider': ParameterValue(LaunchConfiguration('provider'), value_type=str)}]),
        # The robot goes on without it.
        Node(
            package=PACKAGE, executable='recorder', output='screen',
            condition=IfCondition(NotEqualsSubstitution(LaunchConfiguration('record'), '')),
            remappings=[('odometry', LaunchConfiguration('odometry'))],
            parameters=[
                LaunchConfiguration('settings'),
                {'file': ParameterValue(LaunchConfiguration('record'), value_type=str),
                 'bundle': ParameterValue(LaunchConfiguration('bundle'), value_type=str)}]),
    ])
