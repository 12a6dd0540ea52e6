# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What to draw of a robot's links: triangles, and where they are."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from numpy.typing import NDArray

from .meshes import joined, Mesh

GREY = (0.75, 0.75, 0.78)  # of links whose description names none
Color = tuple[float, float, float]
"""Red, green, blue from 0 to 1."""
Poses = Mapping[str, tuple[NDArray, NDArray]]
"""By link its rotation, (3, 3), and translation [m], (3,), in the frame of the world."""


@dataclass(frozen=True)
class LinkShape:
    """Triangles of one colour that belong to a link."""

    link: str
    vertices: NDArray
    """In the link's frame [m], shape (V, 3)."""
    faces: NDArray
    """Indices of vertices, shape (F, 3)."""
    color: Color
    is_scenery: bool = False
    """Whether it is no part of the robot, as a floor: nobody drags it or has to see all of it."""


def link_shapes(parts: Iterable[tuple[str, Color, Mesh]], scenery: str = '') -> list[LinkShape]:
    """
    Return shapes, those of one link and colour as one.

    :param parts: link, colour and triangles in the link's frame.
    :param scenery: the link that is no part of the robot; empty for none.
    """
    found: dict[tuple[str, Color], list[Mesh]] = {}
    for link, color, mesh in parts:
        found.setdefault((link, color), []).append(mesh)
    return [LinkShape(link, *joined(meshes), color, link == scenery)
            for (link, color), meshes in found.items()]


def extent(shapes: Iterable[LinkShape], poses: Poses) -> Iterator[tuple[NDArray, NDArray]]:
    """Yield the lowest and the highest corner (3,) [m] around every shape of the robot."""
    for shape in shapes:
        if shape.link in poses and not shape.is_scenery:
            rotation, translation = poses[shape.link]
            points = shape.vertices @ rotation.T + translation
            yield points.min(axis=0), points.max(axis=0)
