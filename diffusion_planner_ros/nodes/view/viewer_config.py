# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Settings of the viewer."""

from dataclasses import dataclass
import ipaddress
import socket
from typing import Literal

from ...errors import ConfigError
from ...settings import check_settings, document_settings, setting


@document_settings
@dataclass(frozen=True)
class ViewerConfig:
    """Parameters of the viewer."""

    host: str = setting(
        'localhost', 'Address or name on which the page is served. 0.0.0.0 serves it to every '
        'machine that can reach this one, without a password.', read_only=True)
    port: int = setting(
        8080, 'Port of the page; if it is taken, the next free one. 0 takes any.', low=0,
        high=65535, read_only=True)
    controls: Literal['auto', 'shown', 'hidden'] = setting(
        'auto', 'Whether the page has buttons and inputs that change something. auto: only where '
        'it is served to this machine alone.', read_only=True)
    robot: str = setting(
        '', 'What is drawn: name of a robot, path of its folder, or path of a file, URDF or MJCF. '
        'If empty, what the planner or topic `robot_description` tells.', read_only=True)
    draw_rate: float = setting(
        15.0, 'Largest rate at which the page moves, while somebody looks.', unit='Hz', low=1.0,
        high=60.0, read_only=True)
    software_draw_rate: float = setting(
        5.0, 'Largest rate at which a browser draws that has no graphics card; it would take all '
        'cores otherwise.', unit='Hz', low=0.5, high=60.0, read_only=True)

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def is_local(self) -> bool:
        """
        Whether only this machine can reach the page.

        :raises ConfigError: if this machine does not have the address.
        """
        try:
            found = {info[4][0] for info in socket.getaddrinfo(self.host, None)}
        except OSError as error:
            raise ConfigError(f"host is '{self.host}', expected an address or a name of this "
                              f'machine ({error.strerror or error})') from error
        return all(ipaddress.ip_address(str(address).partition('%')[0]).is_loopback
                   for address in found)

    @property
    def has_controls(self) -> bool:
        """
        Whether the page may change something.

        :raises ConfigError: as for ``is_local``.
        """
        return self.controls == 'shown' or (self.controls == 'auto' and self.is_local)
