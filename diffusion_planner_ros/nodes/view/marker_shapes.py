# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What markers show, as lines and triangles; any ``MarkerArray`` that rviz2 shows will do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from visualization_msgs.msg import Marker, MarkerArray

from ..display.markers import CANDIDATES, CHOSEN
from .robot.meshes import box, cylinder, joined, sphere

BACKGROUND = np.ones(3)  # colour of the page, with which transparent lines are mixed
FAINTEST = 0.35  # opacity of what rviz2 would hardly show, on a ground that is nearly white
LINES = (Marker.LINE_STRIP, Marker.LINE_LIST)


@dataclass(frozen=True, eq=False)
class Lines:
    """Line segments of one width."""

    points: NDArray
    """Both ends of every segment [m], shape (n, 2, 3)."""
    colors: NDArray
    """Of both ends: red, green, blue from 0 to 255, uint8, shape (n, 2, 3)."""
    width: float
    """[m]."""


@dataclass(frozen=True, eq=False)
class Solid:
    """Triangles of one colour."""

    vertices: NDArray
    """[m], shape (V, 3)."""
    faces: NDArray
    """Shape (F, 3)."""
    color: tuple[float, float, float]
    opacity: float


@dataclass(frozen=True, eq=False)
class MarkerShapes:
    """What one ``MarkerArray`` shows, by the names of its namespaces."""

    lines: dict[str, Lines] = field(default_factory=dict)
    solids: dict[str, Solid] = field(default_factory=dict)
    value: float | None = None
    """Of the chosen plan; ``None`` if there is no plan."""


def marker_shapes(array: MarkerArray) -> MarkerShapes:
    """Return the shapes of the markers of an array; kinds that we do not draw are left out."""
    groups: dict[str, list[Marker]] = {}
    for marker in array.markers:
        if marker.action == Marker.ADD:
            groups.setdefault(marker.ns, []).append(marker)
    lines, solids = {}, {}
    for name, markers in groups.items():
        if found := [m for m in markers if m.type in LINES and len(m.points) > 1]:
            lines[name] = _lines(found)
        if found := [m for m in markers if m.type in _SOLIDS]:
            solids[name] = _solid(found)
    return MarkerShapes(lines, solids, _value(groups.get(CANDIDATES, ()), groups.get(CHOSEN, ())))


def _lines(markers: Sequence[Marker]) -> Lines:
    points, colors = [], []
    for marker in markers:
        along = _points(marker.points)
        shade = _colors(marker, len(along))
        step = 2 if marker.type == Marker.LINE_LIST else 1
        points.append(np.stack([along[:-1], along[1:]], axis=1)[::step])
        colors.append(np.stack([shade[:-1], shade[1:]], axis=1)[::step])
    return Lines(np.concatenate(points), np.concatenate(colors), markers[0].scale.x)


def _points(points: Iterable) -> NDArray:
    return np.array([(p.x, p.y, p.z) for p in points], dtype=np.float32).reshape(-1, 3)


def _colors(marker: Marker, n: int) -> NDArray:
    """Return the colour of each of n points, mixed with the background as if transparent."""
    each = marker.colors if len(marker.colors) == n else [marker.color] * n
    rgba = np.array([(c.r, c.g, c.b, c.a) for c in each])
    opacity = FAINTEST + (1 - FAINTEST) * rgba[:, 3:]
    mixed = opacity * rgba[:, :3] + (1 - opacity) * BACKGROUND
    return (255 * mixed).round().clip(0, 255).astype(np.uint8)


_SOLIDS = {
    Marker.CUBE: lambda m: box(_size(m)), Marker.CUBE_LIST: lambda m: box(_size(m)),
    Marker.CYLINDER: lambda m: cylinder(m.scale.x / 2, m.scale.z),
    Marker.SPHERE: lambda m: sphere(m.scale.x / 2),
    Marker.SPHERE_LIST: lambda m: sphere(m.scale.x / 2)}


def _size(marker: Marker) -> NDArray:
    return np.array([marker.scale.x, marker.scale.y, marker.scale.z])


def _solid(markers: Sequence[Marker]) -> Solid:
    """Join solids, which all get the colour of the first one; orientations are not drawn."""
    meshes = []
    for marker in markers:
        vertices, faces = _SOLIDS[marker.type](marker)
        at = marker.pose.position
        points = _points(marker.points) if len(marker.points) else np.zeros((1, 3))
        meshes += [(vertices + point + (at.x, at.y, at.z), faces) for point in points]
    color = markers[0].color
    return Solid(*joined(meshes), (color.r, color.g, color.b), color.a)


def _value(candidates: Sequence[Marker], chosen: Sequence[Marker]) -> float | None:
    """
    Return the value that is written at the candidate that was chosen: it has the same lines.

    Of hundreds of candidates not all are drawn. If the chosen one is not, the best one counts.
    """
    values = [(float(m.text), m) for m in candidates if _is_number(m.text)]
    same = (value for value, m in values if any(m.points == c.points for c in chosen))
    return next(same, max((value for value, _ in values), default=None))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
