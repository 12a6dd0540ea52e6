# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Render a walk with its planned candidates to a GIF, in a process of its own as a video is."""

from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
import sys
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..walk_cycle import N_PAST, WalkCycle
from .video import run_apart

WIDTH, HEIGHT = 640, 376  # [pixels]
SUPERSAMPLING = 2
FRAME_TIME = 40  # [ms]; GIF counts in steps of 10
N_COLORS = 48
MAX_GEOMS = 12_000
# Of one plan: frames in which nothing moves but the noise, and in which its future grows.
N_NOISY, N_GROWING = 10, 5
GRID = 0.5  # [m] between lines on the floor, about
LOOK_AHEAD, LOOK_HEIGHT, DISTANCE = 0.34, 0.70, 2.55  # [m] of the camera
NEARER = np.array([0.0, -0.14, 0.0])  # [m] by which lines are in front of the robot
# In these colours it looks well on a light and on a dark page.
SKY, FLOOR, LINES = (17, 21, 36), (0.085, 0.10, 0.17, 1.0), (0.24, 0.29, 0.46, 1.0)
NEAR_LEG, FAR_LEG = (0.92, 0.93, 0.96, 1.0), (0.44, 0.50, 0.64, 1.0)
CHOSEN, GHOST, TRACE = (0.20, 0.95, 0.70), (0.05, 0.60, 0.44), (0.50, 0.60, 0.88)


def animate_apart(robot: str, cycle: WalkCycle, file: Path) -> str | None:
    """
    Run ``animate`` in a process of its own.

    :param robot: name of the robot, which MuJoCo simulates.
    :param file: GIF to write.
    :return: None if it was written, else why not.
    """
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder) / 'cycle.npz'
        np.savez(scratch, **asdict(cycle))
        return run_apart(__name__, [robot, str(scratch), str(file)], file)


def animate(robot: str, cycle: WalkCycle, file: Path) -> None:
    """
    Render a cycle as a GIF without an end.

    Every shown plan is denoised while the robot stands still; then the robot walks on. Candidates
    have colours by their value, from violet to yellow; the chosen one is green, with the robot
    along it as a ghost.

    :param robot: name of the robot, which MuJoCo simulates.
    :param file: GIF to write.
    """
    import mujoco
    from PIL import Image

    from ...sim.environment import in_mujoco, make_environment

    environment = in_mujoco(make_environment(robot))
    _dress(environment.model)
    images = []
    with mujoco.Renderer(environment.model, HEIGHT * SUPERSAMPLING, WIDTH * SUPERSAMPLING,
                         max_geom=MAX_GEOMS) as renderer:
        stage = _Stage(renderer, environment, cycle)
        period = len(cycle.qpos) - N_PAST - 1
        for plan, (begin, end) in enumerate(pairwise([*cycle.begins, period])):
            for k in range(N_NOISY):
                stage.set(begin)
                stage.draw_noise(plan, k / (N_NOISY - 1))
                images.append(stage.image())
            for k in range(1, N_GROWING + 1):
                stage.set(begin)
                stage.draw_future(plan, k / N_GROWING, 1.0)
                images.append(stage.image())
            for moment in range(begin + 1, end + 1):
                stage.set(moment)
                stage.draw_future(plan, 1.0, 1.0 - 0.75 * (moment - begin) / (end - begin))
                images.append(stage.image())
    frames = [Image.fromarray(image).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
              for image in images]
    palette = Image.fromarray(np.concatenate([np.asarray(f) for f in frames[::6]])).quantize(
        N_COLORS, method=Image.Quantize.FASTOCTREE)
    # Without dithering, whose noise GIF cannot compress.
    first, *others = [frame.quantize(palette=palette, dither=Image.Dither.NONE)
                      for frame in frames]
    first.save(file, format='GIF', save_all=True, append_images=others, duration=FRAME_TIME,
               loop=0, optimize=True)


def _dress(model: Any) -> None:
    """Give the simulation's model the colours of the picture; how it moves stays the same."""
    model.vis.global_.offwidth = WIDTH * SUPERSAMPLING
    model.vis.global_.offheight = HEIGHT * SUPERSAMPLING
    model.vis.headlight.ambient[:] = 0.35
    model.vis.headlight.diffuse[:] = 0.45
    model.vis.headlight.specular[:] = 0.1
    model.vis.rgba.haze[:3] = np.array(SKY) / 255.0
    sky = int(model.tex_adr[0])
    n_pixels = int(model.tex_height[0] * model.tex_width[0])
    model.tex_data[sky:sky + 3 * n_pixels] = np.tile(np.array(SKY, dtype=np.uint8), n_pixels)
    model.geom_matid[:] = -1
    for geom in range(model.ngeom):
        is_floor = int(model.geom_bodyid[geom]) == 0
        if is_floor:
            model.geom_size[geom, :2] = 0.0  # without an end
        is_far = 'left' in model.geom(geom).name
        model.geom_rgba[geom] = FLOOR if is_floor else FAR_LEG if is_far else NEAR_LEG


class _Stage:
    """The robot at a moment of the cycle, and lines around it."""

    def __init__(self, renderer: Any, environment: Any, cycle: WalkCycle) -> None:
        import matplotlib
        import mujoco

        self._mujoco = mujoco
        self._renderer = renderer
        self._model, self._data = environment.model, environment.data
        self._ghost = mujoco.MjData(environment.model)
        self._cycle = cycle
        self._colors = matplotlib.colormaps['plasma']
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FREE
        self._camera.distance, self._camera.azimuth, self._camera.elevation = DISTANCE, 97, -7
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            renderer.scene.flags[flag] = False  # hardly seen on a dark floor, and slow
        self._start = float(cycle.qpos[N_PAST, 0])
        way = float(cycle.qpos[-1, 0]) - self._start
        self._grid = way / max(1, round(way / GRID))  # the floor repeats as the walk does

    def set(self, moment: int) -> None:
        """Begin a picture: floor, robot, and where the robot came from."""
        k = N_PAST + moment
        self._data.qpos[:] = self._cycle.qpos[k]
        self._mujoco.mj_forward(self._model, self._data)
        x = float(self._data.qpos[0])
        self._camera.lookat[:] = x + LOOK_AHEAD, 0.0, LOOK_HEIGHT
        self._renderer.update_scene(self._data, camera=self._camera)
        first = round((x - 5.0 - self._start) / self._grid)
        for line in range(first, first + round(12.0 / self._grid)):
            at = self._start + line * self._grid
            self._line(np.array([[at, -2.0, 0.001], [at, 8.0, 0.001]]), LINES, 1.0)
        for path in self._cycle.trace[:, k - N_PAST:k + 1]:
            for i in range(N_PAST):
                self._line(path[i:i + 2] + NEARER, (*TRACE, (i / N_PAST) ** 1.5), 1.5)

    def draw_noise(self, plan: int, share: float) -> None:
        """Draw the candidates while they are denoised: from noise, share 0, to none, share 1."""
        steps = self._cycle.denoising[plan]
        at = share * (len(steps) - 1)
        before = min(int(at), len(steps) - 2)
        paths = steps[before] + (at - before) * (steps[before + 1] - steps[before])
        for n, color in self._by_value(plan):
            for path in paths[n]:
                self._line(path + NEARER, (*color, 1.0), 1.0)

    def draw_future(self, plan: int, share: float, alpha: float) -> None:
        """Draw where the candidates lead, a share of the way; ghosts of the robot at its end."""
        futures, best = self._cycle.futures[plan], int(self._cycle.best[plan])
        horizon = self._cycle.denoising.shape[4]
        n = horizon + round(share * (futures.shape[2] - horizon))
        for i, color in self._by_value(plan):
            for path in futures[i, :, :n]:
                self._line(path + NEARER, (*color, alpha), 1.0)
        for path in futures[best, :, :n]:
            self._line(path + 1.05 * NEARER, (*CHOSEN, alpha), 2.5)
        if share == 1.0:
            for k in (len(self._cycle.ghosts[plan]) // 2, len(self._cycle.ghosts[plan]) - 1):
                self._draw_ghost(self._cycle.ghosts[plan, k], 0.22 * alpha)

    def image(self) -> NDArray:
        """Return the picture, shape (height, width, 3)."""
        return self._renderer.render()

    def _by_value(self, plan: int) -> list[tuple[int, NDArray]]:
        """Return candidates and their colours, the best last: it is drawn on top."""
        order = np.argsort(self._cycle.values[plan])
        colors = self._colors(np.linspace(0.25, 0.95, len(order)))[:, :3]
        return [(int(i), color) for i, color in zip(order, colors, strict=True)]

    def _draw_ghost(self, qpos: NDArray, alpha: float) -> None:
        self._ghost.qpos[:] = qpos
        self._mujoco.mj_kinematics(self._model, self._ghost)
        for geom in range(self._model.ngeom):
            if int(self._model.geom_bodyid[geom]):
                self._add(self._model.geom_type[geom], self._model.geom_size[geom],
                          self._ghost.geom_xpos[geom], self._ghost.geom_xmat[geom],
                          (*GHOST, alpha))

    def _line(self, points: NDArray, rgba: tuple[float, ...], width: float) -> None:
        """Draw a line through points (n, 3) [m], ``width`` pixels wide."""
        kind = self._mujoco.mjtGeom.mjGEOM_LINE
        for a, b in pairwise(points):
            geom = self._add(kind, np.zeros(3), np.zeros(3), np.zeros(9), rgba)
            self._mujoco.mjv_connector(geom, kind, width * SUPERSAMPLING, a, b)
            geom.emission, geom.specular = 1.0, 0.0

    def _add(self, kind: int, size: NDArray, place: NDArray, rotation: NDArray,
             rgba: tuple[float, ...]) -> Any:
        scene = self._renderer.scene
        if scene.ngeom == scene.maxgeom:
            raise ValueError(f'the picture has more than {scene.maxgeom} shapes')
        geom = scene.geoms[scene.ngeom]
        self._mujoco.mjv_initGeom(geom, kind, size, place, rotation,
                                  np.array(rgba, dtype=np.float32))
        geom.category = self._mujoco.mjtCatBit.mjCAT_DECOR
        scene.ngeom += 1
        return geom


if __name__ == '__main__':
    name, recording, picture = sys.argv[1:]
    animate(name, WalkCycle(**np.load(recording)), Path(picture))
