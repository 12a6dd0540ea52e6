"""What the launch files of this package share; only they import it."""

from collections.abc import Iterable
import os
from pathlib import Path
from typing import Any

from ament_index_python.packages import (
    get_package_prefix,
    get_package_share_directory,
    PackageNotFoundError,
)
from launch import LaunchContext, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, GroupAction, LogInfo, Shutdown
from launch.events.process import ProcessExited
from launch_ros.actions import Node, PushROSNamespace, SetRemap
from launch_ros.parameter_descriptions import ParameterValue

from .errors import ConfigError, PlannerError
from .share import PACKAGE

BOOLEANS = ('true', 'false', 'True', 'False')
LOG_LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')
# Absolute names of ROS that robots would share; in a namespace each has its own.
PER_ROBOT = ('clock', 'tf', 'tf_static')


def common_arguments(*, settings: str, use_sim_time: str) -> list[DeclareLaunchArgument]:
    """
    Declare what every launch file takes.

    One that is empty leaves the parameter of its name to the parameter files.

    :param settings: the files of ``config/`` that are loaded anyway, in words.
    :param use_sim_time: default, 'true' or 'false'.
    """
    return [
        DeclareLaunchArgument(
            'namespace', default_value='', description='namespace of all nodes, as robot1'),
        DeclareLaunchArgument(
            'use_sim_time', default_value=use_sim_time, choices=BOOLEANS,
            description='whether time is that of topic clock.'),
        DeclareLaunchArgument(
            'params_file', default_value='',
            description='parameters of the nodes, a path or the name of a file of config/, over '
            f'those of {settings}'),
        DeclareLaunchArgument(
            'log_level', default_value='info', choices=LOG_LEVELS,
            description='of our nodes.'),
        DeclareLaunchArgument(
            'autostart', default_value='', choices=('', *BOOLEANS),
            description='whether the planner activates itself; empty: as in the parameter '
            'files.'),
        DeclareLaunchArgument(
            'bundle', default_value='',
            description='folder of the model bundle; empty: as in the parameter files, or the '
            'shipped Walker2D'),
        DeclareLaunchArgument(
            'provider', default_value='',
            description='onnxruntime execution provider: cpu, cuda, tensorrt or auto; empty: as '
            'in the parameter files, or cpu'),
        DeclareLaunchArgument(
            'record', default_value='',
            description='HDF5 file to record executed plans to; empty records nothing')]


class Arguments:
    """The values that launch arguments have."""

    def __init__(self, context: LaunchContext) -> None:
        self._values = context.launch_configurations

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def is_true(self, name: str) -> bool:
        """Return the value of one of ``BOOLEANS``."""
        return self[name].lower() == 'true'

    def number(self, name: str) -> float:
        """
        Return a positive number.

        :raises ConfigError: if it is none.
        """
        try:
            number = float(self[name])
        except ValueError:
            number = 0.0
        if not number > 0:
            raise ConfigError(f"{name} is '{self[name]}', expected a number above 0")
        return number

    def file(self, name: str) -> str:
        """
        Return the path of a file that an argument names; a bare name is one of ``config/``.

        :raises ConfigError: if there is none.
        """
        folder = Path(config_file(''))
        for file in (Path(self[name]), folder / self[name]):
            if file.is_file():
                return str(file.resolve())
        known = ', '.join(sorted(file.name for file in folder.glob('*.yaml')))
        raise ConfigError(f"{name} is '{self[name]}', expected a file that is there, or one of "
                          f'{known} of {folder}')

    def given(self, *names: str) -> dict[str, bool | ParameterValue]:
        """Return those of some node parameters, flags and texts, that are not empty."""
        return {name: self.is_true(name) if self[name] in BOOLEANS else text(self[name])
                for name in names if self[name]}


def text(value: str) -> ParameterValue:
    """Return a parameter that is text whatever it looks like."""
    return ParameterValue(value, value_type=str)


def config_file(name: str) -> str:
    """Return the path of a file of ``config/`` as it is installed."""
    return str(Path(get_package_share_directory(PACKAGE), 'config', name))


def missing(package: str) -> str | None:
    """Return what to do about a package that is not installed, ``None`` where it is."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        distribution = os.environ.get('ROS_DISTRO', '$ROS_DISTRO')
        return (f'{package} is not installed: sudo apt install '
                f'ros-{distribution}-{package.replace("_", "-")}')
    return None


def require(*packages: str) -> None:
    """
    Refuse to start without some packages.

    :raises PlannerError: if one is not installed.
    """
    for package in packages:
        if lack := missing(package):
            raise PlannerError(lack)


def our_node(arguments: Arguments, executable: str, *parameters: str | dict,
             remappings: Iterable[tuple[str, str]] = (), is_required: bool = True) -> Node:
    """
    Describe a node of this package.

    :param parameters: names of files of ``config/``, and values; ``params_file`` comes in between.
    :param is_required: whether everything ends with it.
    """
    files = [config_file(p) for p in parameters if isinstance(p, str)]
    if arguments['params_file']:
        files.append(arguments.file('params_file'))
    values = [p for p in parameters if not isinstance(p, str) and p]
    return Node(package=PACKAGE, executable=executable, output='screen',
                parameters=[*files, *values], remappings=list(remappings),
                ros_arguments=['--log-level', arguments['log_level']],
                on_exit=end_everything if is_required else None)


def spectator(chosen: Arguments, argument: str, package: str, **node: Any
              ) -> list[LaunchDescriptionEntity]:
    """
    Describe a node that the robot does without, or say in one line that there is none.

    :param argument: whose value says whether to start it: true, false, or auto, where installed.
    :param package: of the node, and its executable.
    :raises ConfigError: if it is asked for, but not installed.
    """
    lack = missing(package)
    if chosen[argument] == 'auto' and lack:
        return [LogInfo(msg=f'{lack}; starting without it')]
    if chosen[argument] != 'auto' and not chosen.is_true(argument):
        return []
    if lack:
        raise ConfigError(f"{argument} is '{chosen[argument]}', but {lack}")
    return [Node(package=package, executable=package, output='screen', **node)]


def end_everything(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """
    End the launch with a process that the others are no use without; an ``on_exit``.

    :raises PlannerError: if it failed, which is how a launch gets another exit code than 0.
    """
    if event.returncode != 0 and not context.is_shutdown:
        raise PlannerError(f'{event.process_name} ended with exit code {event.returncode}; '
                           'without it the others have to end, too')
    return [Shutdown(reason=f'{event.process_name} ended')]


def end_if_failed(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """
    End the launch with a process that has to do its work first; an ``on_exit``.

    :raises PlannerError: if it failed.
    """
    return end_everything(event, context) if event.returncode else []


def on_robot(arguments: Arguments, nodes: Iterable[LaunchDescriptionEntity]) -> GroupAction:
    """Put nodes into the robot's namespace, with a clock and frames of their own."""
    return GroupAction([PushROSNamespace(arguments['namespace']),
                        *(SetRemap(f'/{name}', name) for name in PER_ROBOT), *nodes])
