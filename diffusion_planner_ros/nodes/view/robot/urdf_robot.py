# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A robot to draw, from its URDF."""

from collections.abc import Mapping
import os
from pathlib import Path

import numpy as np

from ....urdf_tree import MOVING, Urdf, UrdfVisual
from .link_shapes import Color, GREY, link_shapes, Poses
from .meshes import box, cylinder, Mesh, sphere


class UrdfRobot:
    """
    A ``RobotModel`` of a URDF.

    :param text: of the URDF.
    :param source: where that comes from, for people.
    :raises RobotError: if it is no URDF.
    """

    def __init__(self, text: str, source: str) -> None:
        self._urdf = urdf = Urdf.from_text(text, source)
        self._moving = [joint.name for joint in urdf.joints if joint.type in MOVING]
        self.effort_limits, self.mass = urdf.effort_limits, urdf.mass
        self.lacking: list[str] = []
        self.shapes = link_shapes(self._parts())
        drawn = {shape.link for shape in self.shapes}
        self.torso = next((link for link in urdf.links if link in drawn), urdf.root)

    def unmeasured(self, positions: Mapping[str, float]) -> list[str]:
        """Return the joints that move and have no position."""
        return [joint for joint in self._moving if joint not in positions]

    def poses(self, positions: Mapping[str, float]) -> Poses:
        """Return where all links are; a joint without a position is at 0."""
        return self._urdf.link_poses({joint: positions.get(joint, 0.0) for joint in self._moving})

    def _parts(self) -> list[tuple[str, Color, Mesh]]:
        parts = []
        for link, visuals in self._urdf.visuals.items():
            for visual in visuals:
                try:
                    vertices, faces = _mesh(visual)
                except (ValueError, OSError) as error:
                    self.lacking.append(f"link '{link}': {error}")
                    continue
                placed = vertices @ visual.rotation.T + visual.translation
                parts.append((link, visual.color or GREY, (placed, faces)))
        return parts


def _mesh(visual: UrdfVisual) -> Mesh:
    """
    Return the triangles of a shape, in its own frame.

    :raises ValueError: in words, if it cannot be drawn.
    :raises OSError: if a file cannot be read.
    """
    if visual.kind == 'cylinder':
        return cylinder(*visual.size)
    if visual.kind == 'sphere':
        return sphere(*visual.size)
    if visual.kind == 'box':
        return box(visual.size)
    if visual.kind == 'mesh':
        vertices, faces = _loaded(_file(visual.file))
        return vertices * visual.size, faces
    raise ValueError(f'geometry is {visual.kind or "nothing"}, expected cylinder, sphere, box or '
                     'mesh')


def _file(name: str) -> Path:
    """Find the file of a mesh: by its path, or in the share folder of a ROS package."""
    places = [Path(name.removeprefix('file://'))]
    if name.startswith('package://'):
        inside = name.removeprefix('package://')
        prefixes = filter(None, os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep))
        places = [Path(prefix, 'share', inside) for prefix in prefixes]
    for place in places:
        if place.is_file():
            return place
    raise ValueError(f"mesh '{name}' is not on this machine")


def _loaded(file: Path) -> Mesh:
    import trimesh  # comes with viser

    mesh = trimesh.load(file, force='mesh')
    assert isinstance(mesh, trimesh.Trimesh)  # as it is forced to be
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)
