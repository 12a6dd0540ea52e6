# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What to draw of a robot's links: triangles of the visual geometry of its URDF."""

from collections.abc import Iterator
from dataclasses import dataclass
import os
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from ...urdf_tree import origin_of

COLOR = (0.75, 0.75, 0.78)  # of links whose URDF names none
N_AROUND, N_ALONG = 12, 6  # facets of round things


@dataclass(frozen=True)
class LinkShape:
    """Triangles of one colour that belong to a link."""

    link: str
    vertices: NDArray
    """In the link's frame [m], shape (V, 3)."""
    faces: NDArray
    """Indices of vertices, shape (F, 3)."""
    color: tuple[float, float, float]
    """Red, green, blue from 0 to 1."""


def link_shapes(text: str) -> tuple[list[LinkShape], list[str]]:
    """
    Read the visual geometry of a URDF.

    :param text: of the URDF, which ``Urdf.from_text`` accepts.
    :return: the shapes, those of one link and colour as one; and what cannot be drawn, in words.
    """
    robot = ElementTree.fromstring(text)
    palette = {m.get('name', ''): _rgb(m) for m in robot.findall('material')}
    parts: dict[tuple[str, tuple], list[tuple[NDArray, NDArray]]] = {}
    lacking = []
    for link in robot.findall('link'):
        name = link.get('name', '')
        for visual in link.findall('visual'):
            rotation, translation = origin_of(visual, f"link '{name}'")
            try:
                mesh = _mesh(visual.find('geometry'))
            except (ValueError, OSError) as error:
                lacking.append(f"link '{name}': {error}")
                continue
            vertices, faces = mesh
            key = name, _color(visual.find('material'), palette)
            parts.setdefault(key, []).append((vertices @ rotation.T + translation, faces))
    return [LinkShape(name, *joined(meshes), color)
            for (name, color), meshes in parts.items()], lacking


def joined(meshes: list[tuple[NDArray, NDArray]]) -> tuple[NDArray, NDArray]:
    """Return meshes of vertices (V, 3) and faces (F, 3) as one."""
    first = np.cumsum([0, *(len(vertices) for vertices, _ in meshes)])
    return (np.concatenate([vertices for vertices, _ in meshes]),
            np.concatenate([faces + n for (_, faces), n in zip(meshes, first[:-1], strict=True)]))


def cylinder(radius: float, length: float) -> tuple[NDArray, NDArray]:
    """Return vertices and faces of a cylinder along z around the origin [m]."""
    # The rim twice, so that the edge between side and lid looks sharp.
    rings = [(0.0, -1), (radius, -1), (radius, -1), (radius, 1), (radius, 1), (0.0, 1)]
    return _turned(np.array([r for r, _ in rings]), np.array([z for _, z in rings]) * length / 2)


def sphere(radius: float) -> tuple[NDArray, NDArray]:
    """Return vertices and faces of a sphere around the origin [m]."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, N_ALONG + 1)
    return _turned(radius * np.cos(angle), radius * np.sin(angle))


def box(size: NDArray) -> tuple[NDArray, NDArray]:
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


def _turned(radii: NDArray, heights: NDArray) -> tuple[NDArray, NDArray]:
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


def _mesh(geometry: Element | None) -> tuple[NDArray, NDArray]:
    """
    Return the triangles of a <geometry>.

    :raises ValueError: in words, if it cannot be drawn.
    :raises OSError: if a file cannot be read.
    """
    shape = next(iter(geometry if geometry is not None else ()), None)
    if shape is None:
        raise ValueError('geometry is nothing, expected cylinder, sphere, box or mesh')
    kind = shape.tag
    if kind == 'cylinder':
        return cylinder(float(shape.get('radius', '')), float(shape.get('length', '')))
    if kind == 'sphere':
        return sphere(float(shape.get('radius', '')))
    if kind == 'box':
        return box(_triple(shape.get('size', '')))
    if kind == 'mesh':
        vertices, faces = _loaded(_file(shape.get('filename', '')))
        return vertices * _triple(shape.get('scale', '1 1 1')), faces
    raise ValueError(f'geometry is {kind}, expected cylinder, sphere, box or mesh')


def _triple(text: str) -> NDArray:
    numbers = np.array([float(word) for word in text.split()])
    if numbers.shape != (3,):
        raise ValueError(f"'{text}' is {len(numbers)} numbers, expected 3")
    return numbers


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


def _loaded(file: Path) -> tuple[NDArray, NDArray]:
    import trimesh  # comes with viser

    mesh = trimesh.load(file, force='mesh')
    assert isinstance(mesh, trimesh.Trimesh)  # as it is forced to be
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


def _rgb(material: Element) -> tuple[float, float, float]:
    color = material.find('color')
    numbers = [] if color is None else color.get('rgba', '').split()
    try:
        red, green, blue = (float(number) for number in numbers[:3])
    except ValueError:
        return COLOR
    return red, green, blue


def _color(material: Element | None, palette: dict[str, tuple]) -> tuple[float, float, float]:
    if material is None:
        return COLOR
    if material.find('color') is not None:
        return _rgb(material)
    return palette.get(material.get('name', ''), COLOR)


def extent(shapes: list[LinkShape], poses: dict[str, tuple[NDArray, NDArray]]
           ) -> Iterator[tuple[NDArray, NDArray]]:
    """Yield the lowest and the highest corner (3,) [m] around every shape that has a pose."""
    for shape in shapes:
        if shape.link in poses:
            rotation, translation = poses[shape.link]
            points = shape.vertices @ rotation.T + translation
            yield points.min(axis=0), points.max(axis=0)
