"""Serve the page: where, to whom, and what viser would do that a robot must not."""

from contextlib import ExitStack, redirect_stdout
from functools import partial
import io
import re
import socket
import sys
from unittest.mock import patch

import viser
import websockets.asyncio.server

from ....errors import ConfigError
from ..viewer_config import ViewerConfig

N_PORTS = 100  # that are tried, from the one that is asked for
LOCAL_PAGES = re.compile(r'https?://(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?')


class WebServer(viser.ViserServer):
    """
    A server of viser that does nothing that a robot must not.

    - It never opens a tunnel to the internet, whatever a browser asks for.
    - Where it serves this machine alone, it takes connections of pages of this machine alone:
      otherwise any page that is open in a browser here could move the robot.
    - It prints nothing on standard output.

    :raises ConfigError: if the host is not one of this machine, or no port is free.
    """

    def __init__(self, config: ViewerConfig, label: str) -> None:
        self._host = config.host
        port = _free_port(config)
        with ExitStack() as stack:
            stack.enter_context(redirect_stdout(io.StringIO()))
            if config.is_local:
                # viser has no argument for it. It asks for this function in a thread that has
                # begun to serve before the constructor returns.
                serve = partial(websockets.asyncio.server.serve,
                                origins=[None, LOCAL_PAGES])  # None: of no page
                stack.enter_context(patch.object(websockets.asyncio.server, 'serve', serve))
            super().__init__(config.host, port, label=label, verbose=False)

    @property
    def address(self) -> str:
        """What to type into a browser."""
        host = socket.gethostname() if self._host in ('0.0.0.0', '::') else self._host
        return f'http://{f"[{host}]" if ":" in host else host}:{self.get_port()}'

    @property
    def n_viewers(self) -> int:
        """Browsers that are connected."""
        return len(self.get_clients())

    def request_share_url(self, verbose: bool = True) -> None:
        """Refuse: a robot is not to be shared through servers of others."""
        del verbose

    def stop(self) -> None:
        """Serve no more."""
        with redirect_stdout(sys.stderr if sys.stderr.closed else io.StringIO()):
            super().stop()


def _free_port(config: ViewerConfig) -> int:
    """Return the port asked for, or the next free one; viser would try wrong hosts for ever."""
    family, *_, address = socket.getaddrinfo(config.host, None, type=socket.SOCK_STREAM)[0]
    reason = ''
    for port in range(config.port, min(config.port + N_PORTS, 65536)):
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address[0], port, *address[2:]))
            except OSError as error:
                reason = error.strerror or str(error)
                continue
            return probe.getsockname()[1]
    raise ConfigError(f"host is '{config.host}' and port {config.port}: the page cannot be served "
                      f'there ({reason}); expected an address of this machine and a free port')
