"""A browser without a screen: connects to a page as viser's own client does."""

from collections.abc import Iterator
from contextlib import contextmanager
import threading

import msgspec
import viser
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

CAMERA = {'type': 'ViewerCameraMessage', 'wxyz': (1.0, 0.0, 0.0, 0.0),
          'position': (0.0, -3.0, 1.0), 'fov': 1.0, 'near': 0.01, 'far': 1000.0,
          'image_height': 480, 'image_width': 640, 'look_at': (0.0, 0.0, 1.0),
          'up_direction': (0.0, 0.0, 1.0)}


@contextmanager
def fake_browser(port: int, *, origin: str | None = None) -> Iterator[None]:
    """
    Look at the page that is served on a port of this machine.

    :param origin: address of the page that opens the connection.
    :raises websockets.exceptions.InvalidStatus: if it is refused.
    """
    with connect(f'ws://localhost:{port}', origin=origin, max_size=None,
                 subprotocols=[f'viser-v{viser.__version__}']) as socket:
        socket.send(msgspec.msgpack.encode(CAMERA))
        reader = threading.Thread(target=_read, args=(socket,), daemon=True)
        reader.start()
        try:
            yield
        finally:
            socket.close()
            reader.join()


def _read(socket: object) -> None:
    try:
        while True:
            socket.recv()
    except ConnectionClosed:
        return
