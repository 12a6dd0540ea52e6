# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Draw robot, plans and ground in three dimensions."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
import viser
from viser.transforms import SO3

from ...display.goal_markers import WALLS
from ...display.markers import CHOSEN
from ..marker_shapes import Lines, MarkerShapes, Solid
from ..robot.link_shapes import extent, Poses
from ..robot.robot_model import RobotModel
from .line_colors import line_colors

WORLD = '/world'
GROUND_COLOR, LINE_COLOR, FINE_LINE_COLOR = (236, 238, 241), (168, 174, 184), (208, 212, 219)
GROUND_SIZE = 60  # cells
N_MARKS = 9  # labels of distances on the ground
PIXELS, PIXELS_PER_METRE = 1.0, 300.0  # width of a line on the screen: a thin one is 3 mm wide
# [m] away from the first camera: the chosen plan is one of the candidates, and would hide them.
BEHIND = {CHOSEN: np.array([0.0, 0.01, 0.0])}
DISTANCE = 1.8  # of the camera, in sizes of the robot
SHORTEST_DRAG = 0.02  # [m] across the robot
FLAT = 0.35  # height of a robot over its length, below which the camera looks from above


class Scene:
    """
    What is seen in three dimensions.

    The camera follows by moving the world below the robot, so that whoever looks may turn and
    zoom as he likes, and every browser has a view of its own.
    """

    def __init__(self, server: viser.ViserServer) -> None:
        self._server = server
        self._scene = server.scene
        # A browser without a graphics card draws several times as fast without shadows.
        self._scene.configure_default_lights(cast_shadow=False)
        self._world = self._scene.add_frame(WORLD, show_axes=False)
        self._links: dict[str, list[viser.MeshHandle]] = {}
        self._lines: dict[str, viser.LineSegmentsHandle] = {}
        self._solids: dict[str, tuple[Solid, viser.MeshHandle]] = {}
        self._model: RobotModel | None = None
        self._is_framed = self._has_walls = False
        self._then: Callable[[float, float], None] | None = None  # after a drag
        self._grabbed: dict[int, NDArray] = {}  # where a drag began, by browser
        self.is_following = True
        """Whether the camera stays with the robot."""
        self._cell = 0.0  # [m]
        self._marks: list[viser.LabelHandle] = []
        self._middle: tuple[int, int] | None = None  # cell of the ground below the robot
        self._lay_ground(1.0)

    def show_robot(self, model: RobotModel | None) -> None:
        """Draw another robot from now on, or none."""
        self._model, self._is_framed = model, False
        for handles in self._links.values():
            for handle in handles:
                handle.remove()
        self._links = {}
        for i, shape in enumerate(() if model is None else model.shapes):
            handle = self._scene.add_mesh_simple(
                f'{WORLD}/robot/{i}', shape.vertices.astype(np.float32),
                shape.faces.astype(np.uint32), color=_color(shape.color))
            if self._then is not None and not shape.is_scenery:
                handle.on_drag(self._on_drag)
            self._links.setdefault(shape.link, []).append(handle)

    def move(self, poses: Poses) -> None:
        """Put the links where they are now."""
        if self._model is None:
            return
        if self._links:
            turns = SO3.from_matrix(np.stack([poses[link][0] for link in self._links])).wxyz
        with self._server.atomic():
            for i, (link, handles) in enumerate(self._links.items()):
                for handle in handles:
                    handle.wxyz, handle.position = turns[i], poses[link][1]
            self._follow(poses[self._model.torso][1])
        if not self._is_framed:
            self._frame(self._model, poses)

    def draw(self, shapes: MarkerShapes) -> None:
        """Draw the markers of a plan in place of those before."""
        with self._server.atomic():
            for name in self._lines.keys() | shapes.lines.keys():
                self._draw_lines(name, shapes.lines.get(name))
        for name in self._solids.keys() | shapes.solids.keys():
            self._draw_solid(name, shapes.solids.get(name))
        if (WALLS in shapes.solids) != self._has_walls:
            self._has_walls = WALLS in shapes.solids
            self._is_framed, self._middle = False, None

    def clear(self) -> None:
        """Draw no plan."""
        self.draw(MarkerShapes())

    def pick(self, then: Callable[[float, float], None]) -> None:
        """
        Let a person click on the ground, once.

        :param then: is called with x and y there [m], in a thread of viser's.
        """
        def on_click(event: viser.SceneClickEvent) -> None:
            self._scene.remove_click_callback(on_click)
            origin, direction = np.asarray(event.ray_origin), np.asarray(event.ray_direction)
            if origin[2] * direction[2] < 0:  # it meets the ground
                at = origin - origin[2] / direction[2] * direction - self._world.position
                then(float(at[0]), float(at[1]))
        self._scene.remove_click_callback('all')
        self._scene.on_click()(on_click)

    def let_drag(self, then: Callable[[float, float], None]) -> None:
        """
        Let people drag the robots that are shown from now on.

        :param then: is called at the end of a drag with its direction, forward and up, a unit
            vector, in a thread of viser's.
        """
        self._then = then

    async def _on_drag(self, event: viser.SceneNodeDragEvent) -> None:  # async: in their order
        # Where the pointer is, not what it holds: the robot moves on meanwhile.
        at = np.asarray(event.end_position)
        if event.phase == 'start':
            self._grabbed[event.client_id] = at
        elif (event.phase == 'end' and event.client_id in self._grabbed
                and self._then is not None):
            drag = (at - self._grabbed.pop(event.client_id))[[0, 2]]
            if (length := np.linalg.norm(drag)) > SHORTEST_DRAG:
                self._then(*(drag / length).tolist())

    def _draw_lines(self, name: str, lines: Lines | None) -> None:
        handle = self._lines.get(name)
        if lines is None:
            if handle is not None:
                handle.visible = False
            return
        # Relative to where they begin: browsers leave out what was out of sight when it was
        # drawn first, and 32 bits are coarse far from the origin.
        origin = lines.points[0, 0]
        points, colors = lines.points - origin, line_colors(lines.colors)
        origin = origin + BEHIND.get(name, 0.0)
        if handle is None:
            self._lines[name] = self._scene.add_line_segments(
                f'{WORLD}/lines/{name}', points, colors, thickness_units='screen',
                thickness=PIXELS + PIXELS_PER_METRE * lines.width, position=origin)
        else:
            handle.points, handle.colors, handle.position = points, colors, origin
            handle.visible = True

    def _draw_solid(self, name: str, solid: Solid | None) -> None:
        before, handle = self._solids.get(name, (None, None))
        if solid is None or before is None or not np.array_equal(before.vertices, solid.vertices):
            if handle is not None:
                handle.remove()
                del self._solids[name]
            if solid is not None:
                self._solids[name] = solid, self._scene.add_mesh_simple(
                    f'{WORLD}/solids/{name}', solid.vertices.astype(np.float32),
                    solid.faces.astype(np.uint32), color=_color(solid.color),
                    opacity=None if solid.opacity == 1 else solid.opacity, flat_shading=True)

    def _follow(self, position: NDArray) -> None:
        x, y = (0.0, 0.0) if self._has_walls else position[:2]
        if self.is_following:
            self._world.position = (-x, -y, 0.0)
        self._shift_ground(x, y)

    # Ground

    def _lay_ground(self, cell: float) -> None:
        """Draw the ground in cells of this size [m]."""
        if cell == self._cell:
            return
        self._cell, self._middle = cell, None
        self._ground = self._scene.add_grid(
            f'{WORLD}/ground', width=GROUND_SIZE * cell, height=GROUND_SIZE * cell,
            cell_size=cell / 2, section_size=cell, cell_color=FINE_LINE_COLOR,
            section_color=LINE_COLOR, plane_color=GROUND_COLOR, plane_opacity=1.0,
            fade_distance=GROUND_SIZE * cell / 2)
        self._marks = [self._scene.add_label(f'{WORLD}/marks/{i}', '0 m', anchor='center-center',
                                             font_screen_scale=0.8)
                       for i in range(N_MARKS)]
        self._shift_ground(0.0, 0.0)

    def _shift_ground(self, x: float, y: float) -> None:
        """Move the ground by whole cells, so that it looks endless, and its marks with it."""
        middle = round(x / self._cell), round(y / self._cell)
        if middle == self._middle:
            return
        self._middle = middle
        walls = self._solids.get(WALLS)
        below = (middle[1] - 0.6) * self._cell if walls is None else (
            walls[0].vertices[:, 1].min() - 0.4 * self._cell)
        self._ground.position = (middle[0] * self._cell, middle[1] * self._cell, 0.0)
        for i, mark in enumerate(self._marks):
            at = (middle[0] + i - N_MARKS // 2) * self._cell
            mark.text = f'{at:g} m'
            mark.position = (at, below, 0.0)

    # Camera

    def _frame(self, model: RobotModel, poses: Poses) -> None:
        """Let every camera see the whole robot, or the whole room that it is in."""
        corners = [corner for pair in extent(model.shapes, poses) for corner in pair]
        corners += [end for solid, _ in self._solids.values()
                    for end in (solid.vertices.min(axis=0), solid.vertices.max(axis=0))]
        if not corners:
            return
        self._is_framed = True
        low, high = np.min(corners, axis=0), np.max(corners, axis=0)
        size = float(np.linalg.norm(high - low))
        self._lay_ground(0.1 if size < 0.6 else 1.0)
        target = (low + high) / 2 + np.asarray(self._world.position)
        is_flat = high[2] - low[2] < FLAT * np.linalg.norm((high - low)[:2])
        direction = np.array([0.0, -0.75, 1.0] if is_flat else [0.25, -1.0, 0.28])
        eye = target + (0.9 if is_flat else DISTANCE) * size * direction / np.linalg.norm(
            direction)
        first = self._server.initial_camera
        first.position, first.look_at = tuple(eye), tuple(target)
        for client in self._server.get_clients().values():
            client.camera.position, client.camera.look_at = eye, target


def _color(rgb: tuple[float, float, float]) -> tuple[int, int, int]:
    red, green, blue = (round(255 * channel) for channel in rgb)
    return red, green, blue
