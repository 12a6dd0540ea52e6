# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Serve the page: where, to whom, and what viser would do that a robot must not."""

from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout
import gzip
import io
from pathlib import Path
import re
import socket
import sys
from typing import Any
from unittest.mock import patch

import viser
import websockets.asyncio.server
from websockets.http11 import Response

from ....errors import ConfigError
from ..viewer_config import ViewerConfig

N_PORTS = 100  # that are tried, from the one that is asked for
SPARING = Path(__file__).with_name('sparing.js')
LOCAL_PAGES = re.compile(r'https?://(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?')


class WebServer(viser.ViserServer):
    """
    A server of viser that does nothing that a robot must not.

    - It never opens a tunnel to the internet, whatever a browser asks for.
    - Where it serves this machine alone, it takes connections of pages of this machine alone:
      otherwise any page that is open in a browser here could move the robot.
    - It prints nothing on standard output.
    - It draws seldom in a browser that draws by software, see ``sparing.js``.

    :raises ConfigError: if the host is not one of this machine, or no port is free.
    """

    def __init__(self, config: ViewerConfig, label: str) -> None:
        self._host = config.host
        port = _free_port(config)
        with ExitStack() as stack:
            stack.enter_context(redirect_stdout(io.StringIO()))
            # viser has no arguments for it. It asks for this function in a thread that has begun
            # to serve before the constructor returns.
            stack.enter_context(patch.object(websockets.asyncio.server, 'serve',
                                             _serving(config, websockets.asyncio.server.serve)))
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


def _serving(config: ViewerConfig, serve: Callable[..., Any]) -> Callable[..., Any]:
    """Return websockets' function ``serve`` for our page, for whom it is meant."""
    script = SPARING.read_text(encoding='utf-8').replace(
        "'<!-- RATE -->'", f'{config.software_draw_rate:g}')

    def changed(*args: Any, process_request: Callable[..., Response | None], **kwargs: Any) -> Any:
        if config.is_local:
            kwargs['origins'] = [None, LOCAL_PAGES]  # None: of no page

        def respond(connection: Any, request: Any) -> Response | None:
            response = process_request(connection, request)
            if response is None or 'text/html' not in response.headers.get('Content-Type', ''):
                return response
            return _with_script(response, script)
        return serve(*args, process_request=respond, **kwargs)
    return changed


def _with_script(response: Response, script: str) -> Response:
    """Return a page with a script that runs before its own ones."""
    is_packed = response.headers.get('Content-Encoding') == 'gzip'
    page = gzip.decompress(response.body) if is_packed else response.body
    page = page.replace(b'<head>', f'<head><script>{script}</script>'.encode(), 1)
    response.body = gzip.compress(page) if is_packed else page
    del response.headers['Content-Length']
    response.headers['Content-Length'] = str(len(response.body))
    return response


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
