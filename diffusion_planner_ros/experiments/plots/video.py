# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Render recorded motion to a video, in a process of its own: a broken OpenGL can crash it."""

from collections.abc import Mapping, Sequence
import os
from pathlib import Path
import subprocess
import sys
import tempfile

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 640, 400  # [pixels] of one recording
FRAME_RATE = 25  # [1/s]
TEXT_SIZE = 18  # [pixels]
CAMERA = 'track'  # follows the robot, in models that have it
FREE_CAMERA = -1


def render_apart(robot: str, recordings: Sequence[Mapping[str, NDArray]], video: Path
                 ) -> str | None:
    """
    Run ``render`` in a process of its own.

    :param robot: name of the robot.
    :param recordings: see ``render``.
    :return: None if the video was written, else why not.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f'{i}.npz' for i in range(len(recordings))]
        for file, recording in zip(files, recordings, strict=True):
            # numpy's hint takes any name for `allow_pickle`.
            np.savez(file, **recording)  # type: ignore[arg-type]
        return run_apart(__name__, [robot, *map(str, files), str(video)], video)


def run_apart(module: str, arguments: Sequence[str], file: Path) -> str | None:
    """
    Run a module that renders to a file in a process of its own.

    :param module: its full name.
    :param arguments: of its command line.
    :param file: what it writes; removed if it fails.
    :return: None if it was written, else why not.
    """
    # EGL needs no display; the command line has set 'disable' for itself.
    chosen = os.environ.get('MUJOCO_GL', 'disable')
    done = subprocess.run([sys.executable, '-m', module, *arguments], capture_output=True,
                          text=True, check=False, env=os.environ | {
                              'MUJOCO_GL': 'egl' if chosen == 'disable' else chosen})
    if done.returncode == 0:
        return None
    file.unlink(missing_ok=True)
    reason = (done.stderr.strip().splitlines() or [f'exit code {done.returncode}'])[-1]
    return (f'MuJoCo could not render offscreen ({reason}); install libegl1 (Debian, Ubuntu) or '
            'set MUJOCO_GL')


def render(robot: str, recordings: Sequence[Path], video: Path) -> None:
    """
    Render joint positions to an MP4 file with MuJoCo's offscreen renderer, side by side.

    :param robot: name of the robot, which MuJoCo simulates.
    :param recordings: npz files with ``times`` [s] and the positions [m, rad] of every joint by
        name, each of shape (n,), and, where wanted, ``labels``: the text at every time. The last
        state of one that ends before others is shown until they end.
    :param video: file to write.
    """
    import imageio.v2 as imageio
    import mujoco
    from PIL import Image, ImageDraw

    from ...sim.environment import in_mujoco, make_environment

    everything = [dict(np.load(file)) for file in recordings]
    simulated = in_mujoco(make_environment(robot))
    names = [simulated.model.camera(i).name for i in range(simulated.model.ncam)]
    camera = CAMERA if CAMERA in names else FREE_CAMERA
    moments = np.arange(0, max(data['times'][-1] for data in everything), 1 / FRAME_RATE)
    with (mujoco.Renderer(simulated.model, HEIGHT, WIDTH) as renderer,
          imageio.get_writer(video, fps=FRAME_RATE, macro_block_size=None) as writer):
        if len(everything) > 1:  # a comparison needs no beauty, which takes four times as long
            for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
                renderer.scene.flags[flag] = False
        for moment in moments:
            frames = []
            for data in everything:
                k = min(np.searchsorted(data['times'], moment), len(data['times']) - 1)
                simulated.data.qpos[:] = [data[joint][k] for joint in simulated.joint_names]
                mujoco.mj_forward(simulated.model, simulated.data)
                renderer.update_scene(simulated.data, camera=camera)
                frame = Image.fromarray(renderer.render())
                if 'labels' in data:
                    ImageDraw.Draw(frame).text((12, 10), str(data['labels'][k]), fill='white',
                                               font_size=TEXT_SIZE)
                frames.append(np.asarray(frame))
            # imageio hints at readers and writers alike.
            writer.append_data(np.concatenate(frames, axis=1))  # type: ignore[attr-defined]


if __name__ == '__main__':
    name, *words = sys.argv[1:]
    *files, file = map(Path, words)
    render(name, files, file)
