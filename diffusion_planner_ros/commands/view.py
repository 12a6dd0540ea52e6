# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner view``: a page that shows a running robot in a browser."""

from typing import Literal


def view(
    host: str = 'localhost',
    port: int = 8080,
    controls: Literal['auto', 'shown', 'hidden'] = 'auto',
    robot: str = '',
    namespace: str = '',
) -> None:
    """
    Show a running robot, its plans and its health in a browser.

    Simulated or not, here or on another machine of the same ROS domain. It ends with Ctrl-C.

    :param host: address or name of this machine on which the page is served; 0.0.0.0 serves it to
        whoever can reach this machine, without a password.
    :param port: port of the page; if it is taken, the next free one.
    :param controls: whether the page can change something; auto: only where it is served to this
        machine alone.
    :param robot: name of a robot, path of its folder, or path of a URDF or MJCF file, to draw; by
        default what the planner tells.
    :param namespace: namespace of the robot's nodes, such as robot1.
    """
    from ..nodes.view.viewer_config import ViewerConfig
    from ..nodes.viewer_node import main

    config = ViewerConfig(host=host, port=port, controls=controls, robot=robot)
    settings = [word for name in ('host', 'port', 'controls', 'robot')
                if (value := getattr(config, name)) != ''
                for word in ('-p', f'{name}:={value}')]
    spaces = ['-r', f'__ns:=/{namespace.strip("/")}'] if namespace else []
    main(['view', '--ros-args', *settings, *spaces])
