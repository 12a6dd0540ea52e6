# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A browser without a screen: connects to a page as viser's own client does."""

from collections.abc import Iterator
from contextlib import contextmanager
import re
import threading
import time

import msgspec
import viser
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
import zstandard

CAMERA = {'type': 'ViewerCameraMessage', 'wxyz': (1.0, 0.0, 0.0, 0.0),
          'position': (0.0, -3.0, 1.0), 'fov': 1.0, 'near': 0.01, 'far': 1000.0,
          'image_height': 480, 'image_width': 640, 'look_at': (0.0, 0.0, 1.0),
          'up_direction': (0.0, 0.0, 1.0)}


LEVEL = re.compile(rb'data-level="(\w+)"')  # of the verdict


class FakeBrowser:
    """What a page has told it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.verdicts: list[tuple[float, str]] = []
        """When a verdict came, on the steady clock [s], and its level; the newest last."""
        self.n_messages = self.n_bytes = 0
        """What came so far, as it comes through the socket."""
        self._texts = b''
        self._socket = socket
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def level(self) -> str:
        """Of the newest verdict; '' before the first one."""
        return self.verdicts[-1][1] if self.verdicts else ''

    def was_told(self, text: str) -> bool:
        """Return whether a text came, as part of anything."""
        return text.encode() in self._texts

    def drag(self, node: str, start: tuple[float, float, float],
             end: tuple[float, float, float]) -> None:
        """Drag something, from one point of the page's world [m] to another one."""
        for phase, at in (('start', start), ('update', end), ('end', end)):
            self._socket.send(msgspec.msgpack.encode({
                'type': 'SceneNodeDragMessage', 'phase': phase, 'name': node,
                'instance_index': None, 'start_position': start, 'start_screen_pos': (0.5, 0.5),
                'end_position': at, 'end_screen_pos': (0.5, 0.5), 'button': 'left',
                'modifier': None, 'owner': ''}))

    def close(self) -> None:
        """Leave the page."""
        self._socket.close()
        self._reader.join()

    def _read(self) -> None:
        try:
            while True:
                msg = self._socket.recv()
                self.n_messages, self.n_bytes = self.n_messages + 1, self.n_bytes + len(msg)
                n = int.from_bytes(msg[8:16], 'little')  # of the texts, which arrays follow
                texts = zstandard.ZstdDecompressor().decompressobj().decompress(msg[16:16 + n])
                self._texts += texts
                self.verdicts += [(time.monotonic(), level.decode())
                                  for level in LEVEL.findall(texts)]
        except ConnectionClosed:
            return


@contextmanager
def fake_browser(port: int, *, origin: str | None = None) -> Iterator[FakeBrowser]:
    """
    Look at the page that is served on a port of this machine.

    :param origin: address of the page that opens the connection.
    :raises websockets.exceptions.InvalidStatus: if it is refused.
    """
    with connect(f'ws://localhost:{port}', origin=origin, max_size=None,
                 subprotocols=[f'viser-v{viser.__version__}']) as socket:
        socket.send(msgspec.msgpack.encode(CAMERA))
        browser = FakeBrowser(socket)
        try:
            yield browser
        finally:
            browser.close()
