"""Render a recorded walk to a video, in a process of its own: a broken OpenGL can crash it."""

import os
from pathlib import Path
import sys

import numpy as np

WIDTH, HEIGHT = 640, 400  # [pixels]
FRAME_RATE = 25  # [1/s]


def render(recording: Path, video: Path) -> None:
    """
    Render joint positions to an MP4 file with MuJoCo's offscreen renderer.

    :param recording: npz file with ``times`` [s] and the positions [m, rad] of every joint by
        name, each of shape (n,).
    :param video: file to write.
    """
    # Before the import: MuJoCo chooses its OpenGL then, and EGL needs no display.
    os.environ.setdefault('MUJOCO_GL', 'egl')
    import imageio.v2 as imageio
    import mujoco

    from .walker2d import Walker2D

    data = dict(np.load(recording))
    walker = Walker2D()
    frames = np.searchsorted(data['times'], np.arange(0, data['times'][-1], 1 / FRAME_RATE))
    with (mujoco.Renderer(walker.model, HEIGHT, WIDTH) as renderer,
          imageio.get_writer(video, fps=FRAME_RATE, macro_block_size=None) as writer):
        for frame in frames:
            walker.data.qpos[:] = [data[joint][frame] for joint in walker.joint_names]
            mujoco.mj_forward(walker.model, walker.data)
            renderer.update_scene(walker.data, camera='track')
            writer.append_data(renderer.render())


if __name__ == '__main__':
    render(Path(sys.argv[1]), Path(sys.argv[2]))
