# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A robot's URDF: link tree, effort limits, forward kinematics, and what to draw of a link."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import RobotError

ROTATING = ('revolute', 'continuous')
MOVING = (*ROTATING, 'prismatic')
TYPES = ('fixed', *MOVING)
# Attributes that say how large a shape is, and what they are by default.
SIZES = {'cylinder': (('radius', '0'), ('length', '0')), 'sphere': (('radius', '0'),),
         'box': (('size', '0 0 0'),), 'mesh': (('scale', '1 1 1'),)}


@dataclass(frozen=True)
class UrdfJoint:
    """A joint, and where it places its child link in the frame of its parent link."""

    name: str
    type: str
    parent: str
    child: str
    rotation: NDArray
    """Of the child at position 0, shape (3, 3)."""
    translation: NDArray
    """Of the child at position 0 [m], shape (3,)."""
    axis: NDArray
    """Unit vector in the child's frame, shape (3,)."""
    effort: float | None
    """Largest effort [N m, N]; ``None`` where the file states no limit."""
    range: tuple[float, float] | None = None
    """Lowest and highest position [rad, m]; ``None`` where the file does not say."""


@dataclass(frozen=True)
class UrdfVisual:
    """One shape to draw of a link."""

    kind: str
    """``cylinder``, ``sphere``, ``box``, ``mesh`` or a word that the format does not have."""
    size: NDArray
    """
    Of a cylinder its radius and length [m], of a sphere its radius [m], of a box its edges [m], of
    a mesh its scale; of anything else nothing.
    """
    rotation: NDArray
    """In the link's frame, shape (3, 3)."""
    translation: NDArray
    """In the link's frame [m], shape (3,)."""
    color: tuple[float, float, float] | None
    """Red, green, blue from 0 to 1; ``None`` where the file names none."""
    file: str = ''
    """Of a mesh: its name, as the file says it."""


@dataclass(frozen=True)
class Urdf:
    """A tree of links."""

    name: str
    root: str
    joints: tuple[UrdfJoint, ...]
    """Every joint after the one that moves its parent link."""
    visuals: Mapping[str, tuple[UrdfVisual, ...]]
    """What to draw of every link that has something to draw."""
    mass: float = 0.0
    """Of all links together [kg]; 0 where the file does not say."""

    @classmethod
    def load(cls, path: Path) -> 'Urdf':
        """
        Read a URDF file (xacro is to be expanded before).

        :raises RobotError: naming file, joint or link, and what was expected.
        """
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise RobotError(f'{path}: not a readable URDF file ({error})') from error
        return cls.from_text(text, str(path))

    @classmethod
    def from_text(cls, text: str, source: str) -> 'Urdf':
        """
        Read a URDF from its text.

        :param source: where it comes from, for the error.
        :raises RobotError: naming source, joint or link, and what was expected.
        """
        try:
            robot = ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise RobotError(f'{source}: not XML ({error}), expected a URDF') from error
        if robot.tag != 'robot':
            raise RobotError(f"{source}: the first element is '{robot.tag}', expected 'robot'")
        links = _named(robot, 'link', source)
        joints = {name: _joint(element, f"{source}: joint '{name}'")
                  for name, element in _named(robot, 'joint', source).items()}
        root, ordered = _tree(list(links), list(joints.values()), source)
        palette = {m.get('name', ''): _rgb(m) for m in robot.findall('material')}
        visuals = {name: _visuals(link, palette, f"{source}: link '{name}'")
                   for name, link in links.items() if link.find('visual/geometry') is not None}
        mass = sum(float(_numbers(link.find('inertial/mass'), 'value', '0',
                                  f"{source}: link '{name}'")[0]) for name, link in links.items())
        return cls(robot.get('name', ''), root, tuple(ordered), visuals, mass)

    @property
    def effort_limits(self) -> dict[str, float]:
        """Largest effort by joint [N m, N], of the joints that state one; 0 is not driven."""
        return {j.name: j.effort for j in self.joints if j.effort is not None}

    @property
    def position_limits(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest position by joint [rad, m], of the joints that state them."""
        return {j.name: j.range for j in self.joints if j.range is not None}

    @property
    def links(self) -> list[str]:
        """All links, parents first."""
        return [self.root, *(joint.child for joint in self.joints)]

    @cached_property
    def segments(self) -> dict[str, NDArray]:
        """
        Ends of the axes of a link's cylinders [m], in the link's frame, shape (n, 2, 3).

        For every link that has something to draw; n is 0 where that is no cylinder.
        """
        return {link: _rods(visuals, 'cylinder')[:, :6].reshape(-1, 2, 3)
                for link, visuals in self.visuals.items()}

    @cached_property
    def shapes(self) -> dict[str, NDArray]:
        """
        Cylinders and spheres of a link: both ends of the axis and the radius [m], shape (n, 7).

        In the link's frame. The ends of a sphere are one point.
        """
        return {link: np.concatenate([_rods(visuals, kind) for kind in ('cylinder', 'sphere')])
                for link, visuals in self.visuals.items()}

    @cached_property
    def traced(self) -> dict[str, NDArray]:
        """
        Points whose paths show a motion: of the torso, and of the feet or hands.

        The torso is the first link with visual geometry, a foot or hand is one with no such link
        behind it; the point is the middle of its skeleton [m], in the link's frame, shape (3,).
        """
        parent = {joint.child: joint.parent for joint in self.joints}
        inner = set()
        for link in self.segments:
            above = parent.get(link)
            while above is not None:
                inner.add(above)
                above = parent.get(above)
        drawn = [link for link in self.links if link in self.segments]
        chosen = dict.fromkeys([*drawn[:1], *(link for link in drawn if link not in inner)])
        return {link: self.segments[link].mean(axis=(0, 1)) if len(self.segments[link])
                else np.zeros(3) for link in chosen}

    def pruned(self, known: Collection[str]) -> 'Urdf':
        """
        Return the tree without the links behind a joint that moves and nobody measures.

        :param known: the joints that are measured.
        """
        joints, links = [], {self.root}
        for joint in self.joints:
            if joint.parent in links and (joint.type not in MOVING or joint.name in known):
                joints.append(joint)
                links.add(joint.child)
        visuals = {name: found for name, found in self.visuals.items() if name in links}
        return replace(self, joints=tuple(joints), visuals=visuals)

    def link_poses(self, positions: Mapping[str, ArrayLike]
                   ) -> dict[str, tuple[NDArray, NDArray]]:
        """
        Forward kinematics: where all links are, in the frame of the root link.

        :param positions: of every joint that moves [rad, m], each of shape (...) or one that
            broadcasts to it; further names are ignored.
        :return: by link its rotation, shape (..., 3, 3), and translation [m], shape (..., 3).
        :raises RobotError: naming a joint without a position. Zero would draw a robot that bends
            where nobody measured.
        """
        missing = [j.name for j in self.joints if j.type in MOVING and j.name not in positions]
        if missing:
            raise RobotError(f"URDF '{self.name}': no position for joint {', '.join(missing)}, "
                             f'expected one for every joint that moves, found '
                             f'{", ".join(positions) or "none"}')
        shape = np.broadcast_shapes(*(np.shape(positions[j.name]) for j in self.joints
                                      if j.type in MOVING))
        poses = {self.root: (np.broadcast_to(np.eye(3), (*shape, 3, 3)), np.zeros((*shape, 3)))}
        for joint in self.joints:
            rotation, translation = poses[joint.parent]
            translation = translation + rotation @ joint.translation
            rotation = rotation @ joint.rotation
            if joint.type in MOVING:
                position = np.asarray(positions[joint.name], dtype=np.float64)
                if joint.type in ROTATING:
                    rotation = rotation @ _rotation_about(joint.axis, position)
                else:
                    translation = translation + position[..., None] * (rotation @ joint.axis)
            poses[joint.child] = (rotation, translation)
        return poses


def transformed(pose: tuple[NDArray, NDArray], points: NDArray) -> NDArray:
    """Bring points (..., 3) of a link into the root's frame; a pose's shape (...) comes first."""
    rotation, translation = pose
    batch = translation.shape[:-1]
    flat = points.reshape(-1, 3)
    moved = flat @ np.swapaxes(rotation, -1, -2) + translation[..., None, :]
    return moved.reshape(*batch, *points.shape)


def _rotation_about(axis: NDArray, angle: NDArray) -> NDArray:
    """Rodrigues' formula: rotations (..., 3, 3) about a unit vector by angles (...) [rad]."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    angle = angle[..., None, None]
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)


def _rotation_from_rpy(rpy: NDArray) -> NDArray:
    """Rotation of URDF's roll, pitch and yaw [rad]: about the fixed axes x, then y, then z."""
    x, y, z = (_rotation_about(axis, angle) for axis, angle in zip(np.eye(3), rpy, strict=True))
    return z @ y @ x


def _named(robot: Element, tag: str, source: str) -> dict[str, Element]:
    found: dict[str, Element] = {}
    for element in robot.findall(tag):
        name = element.get('name', '')
        if not name or name in found:
            raise RobotError(f"{source}: a {tag} is named '{name}', expected a name of its own")
        found[name] = element
    return found


def _numbers(element: Element | None, attribute: str, default: str, where: str) -> NDArray:
    """Read as many numbers as the default holds."""
    text = default if element is None else element.get(attribute, default)
    try:
        numbers = np.array([float(word) for word in text.split()])
    except ValueError:
        numbers = np.array([])
    n = len(default.split())
    if len(numbers) != n or not np.isfinite(numbers).all():
        raise RobotError(f"{where}: {attribute} is '{text}', expected {n} finite "
                         f'number{"s" if n > 1 else ""}')
    return numbers


def _origin(element: Element, where: str) -> tuple[NDArray, NDArray]:
    """Return rotation (3, 3) and translation (3,) [m] of an element's ``<origin>``."""
    origin = element.find('origin')
    return (_rotation_from_rpy(_numbers(origin, 'rpy', '0 0 0', where)),
            _numbers(origin, 'xyz', '0 0 0', where))


def _joint(element: Element, where: str) -> UrdfJoint:
    kind = element.get('type', '')
    if kind not in TYPES:
        raise RobotError(f"{where}: type is '{kind}', expected one of {', '.join(TYPES)}")
    ends = []
    for tag in ('parent', 'child'):
        end = element.find(tag)
        ends.append('' if end is None else end.get('link', ''))
        if not ends[-1]:
            raise RobotError(f'{where}: no {tag}, expected <{tag} link="..."/>')
    axis = _numbers(element.find('axis'), 'xyz', '1 0 0', where)
    length = np.linalg.norm(axis)
    if kind in MOVING and not length > 0:
        raise RobotError(f'{where}: axis is {axis}, expected a vector that is not zero')
    limit = element.find('limit')
    effort = None
    if limit is not None and 'effort' in limit.attrib:
        effort = float(_numbers(limit, 'effort', '0', where)[0])
        if effort < 0:
            raise RobotError(f'{where}: effort is {effort}, expected at least 0 [N m, N]')
    rotation, translation = _origin(element, where)
    return UrdfJoint(name=element.get('name', ''), type=kind, parent=ends[0], child=ends[1],
                     rotation=rotation, translation=translation,
                     axis=axis / length if length > 0 else axis, effort=effort,
                     range=None if kind == 'continuous' else _range(limit))


def _range(limit: Element | None) -> tuple[float, float] | None:
    """Return lowest and highest position; None if they make no sense, as no motion needs them."""
    if limit is None:
        return None
    try:
        low, high = (float(limit.get(name, '')) for name in ('lower', 'upper'))
    except ValueError:
        return None
    return (low, high) if -np.inf < low < high < np.inf else None


def _tree(links: list[str], joints: list[UrdfJoint], source: str
          ) -> tuple[str, list[UrdfJoint]]:
    """Return the root and the joints, parents first; refuse what is no tree."""
    for joint in joints:
        for link in (joint.parent, joint.child):
            if link not in links:
                raise RobotError(f"{source}: joint '{joint.name}' names link '{link}', expected "
                                 f'one of {", ".join(links) or "none: there are no links"}')
    children = [joint.child for joint in joints]
    for link in set(children):
        if children.count(link) > 1:
            raise RobotError(f"{source}: link '{link}' is the child of {children.count(link)} "
                             'joints, expected one')
    roots = [link for link in links if link not in children]
    if len(roots) != 1:
        raise RobotError(f'{source}: links without parent are {", ".join(roots) or "none"}, '
                         'expected exactly one, the root')
    ordered: list[UrdfJoint] = []
    reached = [roots[0]]
    for link in reached:
        found = [joint for joint in joints if joint.parent == link]
        ordered += found
        reached += [joint.child for joint in found]
    if lost := [link for link in links if link not in reached]:
        raise RobotError(f"{source}: link '{lost[0]}' hangs in a loop of joints, expected a path "
                         f"from '{roots[0]}' to every link")
    return roots[0], ordered


def _visuals(link: Element, palette: Mapping[str, tuple[float, float, float] | None], where: str
             ) -> tuple[UrdfVisual, ...]:
    """Return what to draw of a link; materials that it names are in the palette."""
    visuals = []
    for visual in link.findall('visual'):
        shape = visual.find('geometry/*')
        kind = '' if shape is None else shape.tag
        sizes = [_numbers(shape, name, default, where) for name, default in SIZES.get(kind, ())]
        material = visual.find('material')
        color = None if material is None else (
            _rgb(material) or palette.get(material.get('name', '')))
        visuals.append(UrdfVisual(
            kind, np.concatenate([np.zeros(0), *sizes]), *_origin(visual, where), color,
            '' if shape is None else shape.get('filename', '')))
    return tuple(visuals)


def _rgb(material: Element) -> tuple[float, float, float] | None:
    """Return the colour of a material; None if it has none, as no motion needs it."""
    color = material.find('color')
    try:
        red, green, blue = map(float, ('' if color is None else color.get('rgba', '')).split()[:3])
    except ValueError:
        return None
    return red, green, blue


def _rods(visuals: Collection[UrdfVisual], kind: str) -> NDArray:
    """Return both ends and the radius [m] of cylinders or spheres, shape (n, 7)."""
    rods = []
    for visual in visuals:
        if visual.kind == kind:
            radius, length = visual.size if kind == 'cylinder' else (visual.size[0], 0.0)
            half = visual.rotation[:, 2] * length / 2
            rods.append([*(visual.translation - half), *(visual.translation + half), radius])
    return np.array(rods).reshape(-1, 7)
