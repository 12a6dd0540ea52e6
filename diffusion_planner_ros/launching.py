# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the launch files of this package have in common; only they import it."""

from collections.abc import Iterable, Sequence
import os
from pathlib import Path
from typing import Any

from ament_index_python.packages import (
    get_package_prefix,
    get_package_share_directory,
    PackageNotFoundError,
)
from launch import LaunchContext, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    LogInfo,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.events.process import ProcessExited
from launch_ros.actions import Node, PushROSNamespace, SetRemap
from launch_ros.parameter_descriptions import ParameterValue

from .errors import ConfigError, PlannerError
from .messages.transports import TRANSPORTS, UDP
from .share import PACKAGE

BOOLEANS = ('true', 'false', 'True', 'False')
LOG_LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')
# Like `/clock`, these topics have absolute names, so that all robots would share them.
FRAMES = ('tf', 'tf_static')


def parameter_argument(name: str, description: str, *, default: str = '',
                       choices: Sequence[str] = ()) -> DeclareLaunchArgument:
    """
    Declare an argument that sets the node parameter of its name, unless it is empty.

    :param default: value of the parameter if no parameter file sets it either.
    :param choices: the values that are accepted; any if there are none.
    """
    otherwise = f', or {default}' if default else ''
    return DeclareLaunchArgument(
        name, default_value='', choices=('', *choices) if choices else None,
        description=f'{description}; empty: as in the parameter files{otherwise}')


def program_argument(name: str, description: str) -> DeclareLaunchArgument:
    """Declare an argument that says whether to start a program; see ``optional_program``."""
    return DeclareLaunchArgument(
        name, default_value='auto', choices=('auto', *BOOLEANS),
        description=f'{description}; auto: if it is installed')


def common_arguments(*, settings: str, use_sim_time: str, bundle: str = 'the shipped walker2d'
                     ) -> list[DeclareLaunchArgument]:
    """
    Declare the arguments that every launch file has.

    :param settings: the files of ``config/`` that are loaded in any case, for the description.
    :param use_sim_time: default, 'true' or 'false'.
    :param bundle: which one is taken by default, for the description.
    """
    return [
        DeclareLaunchArgument(
            'namespace', default_value='', description='namespace of all nodes, such as robot1'),
        DeclareLaunchArgument(
            'use_sim_time', default_value=use_sim_time, choices=BOOLEANS,
            description='whether nodes take the time from topic clock'),
        DeclareLaunchArgument(
            'params_file', default_value='',
            description='YAML file of parameters, a path or the name of a file of config/; they '
            f'replace those of {settings}'),
        DeclareLaunchArgument(
            'log_level', default_value='info', choices=LOG_LEVELS,
            description='log level of the nodes of this package'),
        parameter_argument('autostart', 'whether the planner activates itself', choices=BOOLEANS,
                           default='true'),
        parameter_argument('bundle', 'folder of the model bundle', default=bundle),
        parameter_argument('provider',
                           'onnxruntime execution provider: cpu, cuda, tensorrt or auto',
                           default='cpu'),
        parameter_argument('realtime_priority',
                           'priority under SCHED_FIFO of the nodes that move the robot, 0 to 98',
                           default='0'),
        parameter_argument('lock_memory', 'whether the memory of these nodes stays in RAM',
                           choices=BOOLEANS, default='false'),
        DeclareLaunchArgument(
            'view', default_value='false', choices=BOOLEANS,
            description='whether to serve a page that shows the robot in a browser; its address '
            'is printed'),
        DeclareLaunchArgument(
            'record', default_value='',
            description='HDF5 file to record executed plans to; empty records nothing'),
        DeclareLaunchArgument(
            'mcap', default_value='',
            description='MCAP file to record all topics to; empty records nothing')]


class Arguments:
    """The values of the launch arguments."""

    def __init__(self, context: LaunchContext) -> None:
        self._values = context.launch_configurations

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def is_true(self, name: str) -> bool:
        """Return the value of one of ``BOOLEANS``."""
        return self[name].lower() == 'true'

    def number(self, name: str) -> float:
        """
        Return the value of an argument that is a positive number.

        :raises ConfigError: if it is not.
        """
        try:
            number = float(self[name])
        except ValueError:
            number = 0.0
        if not number > 0:
            raise ConfigError(f"{name} is '{self[name]}', expected a number above 0")
        return number

    def robots(self) -> list[str]:
        """
        Return the namespaces of the robots that argument ``robots`` asks for; '' of a single one.

        :raises ConfigError: if it is no integer above 0.
        """
        number = self['robots']
        if not (number.isdecimal() and int(number)):
            raise ConfigError(f"robots is '{number}', expected an integer above 0")
        return [f'robot{k + 1}' for k in range(int(number))] if int(number) > 1 else ['']

    def file(self, name: str) -> str:
        """
        Return the absolute path of the file that an argument names, or that ``config/`` has.

        :raises ConfigError: if there is no such file.
        """
        folder = Path(config_file(''))
        for file in (Path(self[name]), folder / self[name]):
            if file.is_file():
                return str(file.resolve())
        known = ', '.join(sorted(file.name for file in folder.glob('*.yaml')))
        raise ConfigError(f"{name} is '{self[name]}', expected a file that is there, or one of "
                          f'{known} of {folder}')

    def given(self, *names: str) -> dict[str, bool | ParameterValue]:
        """Return node parameters by name, from those of these arguments that are not empty."""
        return {name: self.is_true(name) if self[name] in BOOLEANS else text(self[name])
                for name in names if self[name]}

    @property
    def scheduling(self) -> dict[str, bool | int | ParameterValue]:
        """
        Return how Linux is to treat the nodes that move the robot, as node parameters by name.

        :raises ConfigError: if the priority is no integer.
        """
        priority = self['realtime_priority']
        if priority and not priority.isdecimal():
            raise ConfigError(f"realtime_priority is '{priority}', expected an integer from 0 to "
                              '98')
        return ({'realtime_priority': int(priority)} if priority else {}) | self.given(
            'lock_memory')


def text(value: str) -> ParameterValue:
    """Return a parameter value that stays text, even if it looks like a number."""
    return ParameterValue(value, value_type=str)


def config_file(name: str) -> str:
    """Return the path of an installed file of ``config/``."""
    return str(Path(get_package_share_directory(PACKAGE), 'config', name))


def missing(package: str) -> str | None:
    """Return how to install a ROS package that is missing, ``None`` if it is installed."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        distribution = os.environ.get('ROS_DISTRO', '$ROS_DISTRO')
        return (f'{package} is not installed: sudo apt install '
                f'ros-{distribution}-{package.replace("_", "-")}')
    return None


def require(*packages: str) -> None:
    """
    Check that ROS packages are installed.

    :raises PlannerError: if one is not, with the command that installs it.
    """
    for package in packages:
        if lack := missing(package):
            raise PlannerError(lack)


def our_node(arguments: Arguments, executable: str, *parameters: str | dict,
             remappings: Iterable[tuple[str, str]] = (), is_required: bool = True) -> Node:
    """
    Describe a node of this package.

    :param parameters: names of files of ``config/``, and values by name. Values replace those of
        ``params_file``, and these replace those of the files.
    :param is_required: whether the launch ends when this node ends.
    """
    files = [config_file(p) for p in parameters if isinstance(p, str)]
    if arguments['params_file']:
        files.append(arguments.file('params_file'))
    values = [p for p in parameters if not isinstance(p, str) and p]
    return Node(package=PACKAGE, executable=executable, output='screen',
                parameters=[*files, *values], remappings=list(remappings),
                ros_arguments=['--log-level', arguments['log_level']],
                on_exit=end_everything if is_required else None)


def viewer(arguments: Arguments, remappings: Iterable[tuple[str, str]] = ()) -> list[Node]:
    """Describe the page for browsers, if it is asked for; the robot does not need it."""
    if not arguments.is_true('view'):
        return []
    return [our_node(arguments, 'viewer', remappings=remappings, is_required=False)]


def optional_program(chosen: Arguments, argument: str, package: str, **node: Any
                     ) -> list[LaunchDescriptionEntity]:
    """
    Describe a program that the robot does not need, or log that it is not installed.

    :param argument: its name, as declared by ``program_argument``: true, false, or auto.
    :param package: name of its package, and of its executable.
    :param node: further arguments of ``launch_ros.actions.Node``.
    :raises ConfigError: if the argument is true, and the package is not installed.
    """
    lack = missing(package)
    if chosen[argument] == 'auto' and lack:
        return [LogInfo(msg=f'{lack}; starting without it')]
    if chosen[argument] != 'auto' and not chosen.is_true(argument):
        return []
    if lack:
        raise ConfigError(f"{argument} is '{chosen[argument]}', but {lack}")
    return [Node(package=package, executable=package, output='screen', **node)]


def mcap_recorder(arguments: Arguments, file: str,
                  remappings: Iterable[tuple[str, str]] = ()) -> Node:
    """Describe the node that records all topics of a robot, which does not need it."""
    time = {'use_sim_time': arguments.is_true('use_sim_time')}
    return our_node(arguments, 'mcap_recorder', {'file': text(file)} | time,
                    remappings=remappings, is_required=False)


def of_robot(name: str, file: str) -> str:
    """Return the file of one of several robots, as log_robot1.hdf5 for log.hdf5."""
    path = Path(file)
    return str(path.with_stem(f'{path.stem}_{name}')) if name else file


def end_everything(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """
    End the launch when a process ends that the others need; to be used as ``on_exit``.

    :raises PlannerError: if the process failed, so that the exit code of the launch is not 0.
    """
    if event.returncode != 0 and not context.is_shutdown:
        raise PlannerError(f'{event.process_name} ended with exit code {event.returncode}; '
                           'the others cannot go on without it')
    return [Shutdown(reason=f'{event.process_name} ended')]


def end_if_failed(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """
    End the launch if a process fails that has to do its work first; to be used as ``on_exit``.

    :raises PlannerError: if the process failed.
    """
    return end_everything(event, context) if event.returncode else []


def on_robot(arguments: Arguments, nodes: Iterable[LaunchDescriptionEntity], *,
             clock: str = 'clock') -> GroupAction:
    """
    Put nodes into the robot's namespace, with a clock and frames of their own.

    Those of others do without shared memory, as ours do, unless the user has chosen.

    :param clock: topic of simulated time; with ``/`` at its front, robots share it.
    """
    transports = os.environ.get(TRANSPORTS, UDP)
    return GroupAction([SetEnvironmentVariable(TRANSPORTS, transports),
                        PushROSNamespace(arguments['namespace']), SetRemap('/clock', clock),
                        *(SetRemap(f'/{name}', name) for name in FRAMES), *nodes])


def in_namespace(name: str, nodes: Iterable[LaunchDescriptionEntity]) -> GroupAction:
    """Put nodes of one of several robots into a namespace below that of all."""
    return GroupAction([PushROSNamespace(name), *nodes])
