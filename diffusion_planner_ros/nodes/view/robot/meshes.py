# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Simple bodies as triangles: vertices (V, 3) [m] and faces (F, 3), indices of vertices."""

import numpy as np
from numpy.typing import NDArray

N_AROUND, N_ALONG = 12, 6  # facets of round things
Mesh = tuple[NDArray, NDArray]


def joined(meshes: list[Mesh]) -> Mesh:
    """Return meshes of vertices (V, 3) and faces (F, 3) as one."""
    first = np.cumsum([0, *(len(vertices) for vertices, _ in meshes)])
    return (np.concatenate([vertices for vertices, _ in meshes]),
            np.concatenate([faces + n for (_, faces), n in zip(meshes, first[:-1], strict=True)]))


def cylinder(radius: float, length: float) -> Mesh:
    """Return vertices and faces of a cylinder along z around the origin [m]."""
    # The rim twice, so that the edge between side and lid looks sharp.
    rings = [(0.0, -1), (radius, -1), (radius, -1), (radius, 1), (radius, 1), (0.0, 1)]
    return _turned(np.array([r for r, _ in rings]), np.array([z for _, z in rings]) * length / 2)


def sphere(radius: float) -> Mesh:
    """Return vertices and faces of a sphere around the origin [m]."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, N_ALONG + 1)
    return _turned(radius * np.cos(angle), radius * np.sin(angle))


def capsule(radius: float, length: float) -> Mesh:
    """Return vertices and faces of a capsule along z; the length is that between its ends [m]."""
    above = np.linspace(0.0, np.pi / 2, N_ALONG // 2 + 1)
    radii, heights = radius * np.cos(above), radius * np.sin(above) + length / 2
    return _turned(np.concatenate([radii[::-1], radii]), np.concatenate([-heights[::-1], heights]))


def ellipsoid(radii: NDArray) -> Mesh:
    """Return vertices and faces of an ellipsoid with these half axes (3,) [m]."""
    vertices, faces = sphere(1.0)
    return vertices * radii, faces


def rectangle(width: float, length: float) -> Mesh:
    """Return vertices and faces of a rectangle in x and y [m], seen from above."""
    corners = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)])
    return corners * [width / 2, length / 2, 0.0], np.array([[0, 1, 2], [0, 2, 3]])


def box(size: NDArray) -> Mesh:
    """Return vertices and faces of a box with edges of these lengths (3,) [m]."""
    meshes = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            u, v = np.eye(3)[axis - 2], np.eye(3)[axis - 1]
            middle = sign * np.eye(3)[axis]
            square = np.array([middle + sign * a * u + b * v
                               for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
            meshes.append((square * size / 2, np.array([[0, 1, 2], [0, 2, 3]])))
    return joined(meshes)


def _turned(radii: NDArray, heights: NDArray) -> Mesh:
    """Turn a line of points, from below to above, about z; its ends lie on the axis."""
    angle = np.arange(N_AROUND) * 2 * np.pi / N_AROUND
    vertices = np.stack([np.outer(radii, np.cos(angle)), np.outer(radii, np.sin(angle)),
                         np.repeat(heights[:, None], N_AROUND, axis=1)], axis=-1)
    ring = np.arange(N_AROUND)
    following = np.roll(ring, -1)
    faces = [np.concatenate([np.stack([low + ring, low + following, high + following], axis=1),
                             np.stack([low + ring, high + following, high + ring], axis=1)])
             for low, high in ((k * N_AROUND, (k + 1) * N_AROUND) for k in range(len(radii) - 1))]
    return vertices.reshape(-1, 3), np.concatenate(faces)
