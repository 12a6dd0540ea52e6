# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A URDF of a MuJoCo model: the same joints, inertias and shapes for the tools of ROS."""

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..errors import RobotError
from .mjcf import load_model

ROOT_LINK = 'world'
# URDF wants numbers where MuJoCo has none.
UNLIMITED = 1000.0  # [m], range of a slide that has no limit
# [m/s], [rad/s]; the walking robot's ankles reach 56 rad/s
MAX_SPEED = {'prismatic': 20.0, 'revolute': 100.0, 'continuous': 100.0}
SLIDE, HINGE = int(mujoco.mjtJoint.mjJNT_SLIDE), int(mujoco.mjtJoint.mjJNT_HINGE)


def urdf_from_mjcf(path: Path) -> str:
    """
    Translate a MuJoCo model.

    A link's frame lies where URDF wants it, in the last joint of its body: the body's own frame
    is at minus that joint's ``pos`` in it. A body of several joints hangs on links without
    mass, one per further joint. Joint positions are those of MuJoCo, ``ref`` included. A capsule
    becomes a cylinder and two spheres. Joints without actuator have an effort limit of 0.

    :param path: of an MJCF file with slides and hinges, capsules, cylinders, spheres and boxes.
    :return: the URDF's text.
    :raises RobotError: naming the file and what of it URDF has no word for.
    """
    return _Export(load_model(path), str(path)).text()


class _Export:
    """One translation under way."""

    def __init__(self, model: mujoco.MjModel, source: str) -> None:
        self._model = model
        self._source = source
        self._materials: dict[tuple[float, ...], str] = {}
        self._anchor = np.zeros((model.nbody, 3))
        """Of every body, its link's frame in the body's frame [m]."""
        self._efforts = self._find_efforts()
        # MuJoCo keeps all names in one buffer, the model's first.
        self._robot = Element('robot', name=model.names.split(b'\0')[0].decode())

    def text(self) -> str:
        model = self._model
        SubElement(self._robot, 'link', name=ROOT_LINK)
        for body in range(1, model.nbody):
            self._add_body(body)
        for i, (rgba, name) in enumerate(self._materials.items()):
            material = Element('material', name=name)
            SubElement(material, 'color', rgba=_text(rgba))
            self._robot.insert(i, material)
        ElementTree.indent(self._robot)
        return ('<?xml version="1.0"?>\n<!-- Made by `diffusion_planner urdf` from '
                f'{Path(self._source).name}; do not edit. -->\n'
                + ElementTree.tostring(self._robot, encoding='unicode') + '\n')

    def _find_efforts(self) -> dict[int, float]:
        """Return the largest effort [N m, N] by joint that has an actuator."""
        model, efforts = self._model, {}
        for i in range(model.nu):
            if model.actuator_trntype[i] != mujoco.mjtTrn.mjTRN_JOINT:
                raise RobotError(f"{self._source}: actuator '{model.actuator(i).name}' drives no "
                                 'joint, expected a joint for each')
            if not model.actuator_ctrllimited[i]:
                raise RobotError(f"{self._source}: actuator '{model.actuator(i).name}' has no "
                                 'ctrlrange, expected one, for the effort limit')
            largest = np.abs(model.actuator_ctrlrange[i]).max()
            efforts[int(model.actuator_trnid[i, 0])] = float(
                abs(model.actuator_gear[i, 0]) * largest)
        return efforts

    def _add_body(self, body: int) -> None:
        model = self._model
        name = model.body(body).name
        parent_body = int(model.body_parentid[body])
        parent = ROOT_LINK if parent_body == 0 else model.body(parent_body).name
        offset = model.body_pos[body] - self._anchor[parent_body]
        first = int(model.body_jntadr[body])
        joints = list(range(first, first + int(model.body_jntnum[body])))
        rotation = _matrix(model.body_quat[body])
        if not joints:
            self._add_joint(f'{name}_fixed', 'fixed', parent, name, offset, rotation)
        for k, (joint, shift) in enumerate(zip(joints, self._shifts(joints), strict=True)):
            child = name if joint == joints[-1] else f'{model.joint(joint).name}_link'
            at = shift if k else offset + rotation @ shift
            turned = rotation if k == 0 else np.eye(3)
            self._add_moving_joint(joint, parent, child, at, turned)
            parent = child
        self._anchor[body] = sum(self._shifts(joints, with_ref=False), np.zeros(3))
        self._add_link(body, name)

    def _shifts(self, joints: list[int], *, with_ref: bool = True) -> list[NDArray]:
        """
        Return the way from each joint's frame to the next one's, in the body's frame [m].

        Where a slide is anchored makes no difference. What ``ref`` takes away is taken at the
        first of neighbouring slides, so that the first base link of a walker runs on the floor.
        """
        model = self._model
        shifts, anchor = [], np.zeros(3)
        for joint in joints:
            if model.jnt_type[joint] == SLIDE:
                ref = float(model.qpos0[model.jnt_qposadr[joint]]) if with_ref else 0.0
                shifts.append(-ref * model.jnt_axis[joint])
            else:
                shifts.append(model.jnt_pos[joint] - anchor)
                anchor = model.jnt_pos[joint]
        for k in range(len(joints) - 1, 0, -1):
            if model.jnt_type[joints[k]] == model.jnt_type[joints[k - 1]] == SLIDE:
                shifts[k - 1] = shifts[k - 1] + shifts[k]
                shifts[k] = np.zeros(3)
        return shifts

    def _add_moving_joint(self, joint: int, parent: str, child: str, at: NDArray,
                          rotation: NDArray) -> None:
        model = self._model
        name, kind = model.joint(joint).name, model.jnt_type[joint]
        if kind not in (SLIDE, HINGE):
            raise RobotError(f"{self._source}: joint '{name}' is of type "
                             f'{mujoco.mjtJoint(kind).name}, expected a slide or a hinge')
        axis, is_limited = model.jnt_axis[joint], bool(model.jnt_limited[joint])
        if kind == SLIDE:
            urdf_type = 'prismatic'
        else:
            urdf_type = 'revolute' if is_limited else 'continuous'
            ref = float(model.qpos0[model.jnt_qposadr[joint]])
            rotation = rotation @ _rotation_about(axis, -ref)
        element = self._add_joint(name, urdf_type, parent, child, at, rotation)
        SubElement(element, 'axis', xyz=_text(axis))
        limit = {} if urdf_type == 'continuous' else dict(zip(
            ('lower', 'upper'), model.jnt_range[joint] if is_limited else (-UNLIMITED, UNLIMITED),
            strict=True))
        limit |= {'effort': self._efforts.get(joint, 0.0), 'velocity': MAX_SPEED[urdf_type]}
        SubElement(element, 'limit', {k: _text([v]) for k, v in limit.items()})
        dof = int(model.jnt_dofadr[joint])
        SubElement(element, 'dynamics', damping=_text([model.dof_damping[dof]]),
                   friction=_text([model.dof_frictionloss[dof]]))
        if child != self._body_of(joint):
            SubElement(self._robot, 'link', name=child)

    def _body_of(self, joint: int) -> str:
        return self._model.body(int(self._model.jnt_bodyid[joint])).name

    def _add_joint(self, name: str, kind: str, parent: str, child: str, at: NDArray,
                   rotation: NDArray) -> Element:
        element = SubElement(self._robot, 'joint', name=name, type=kind)
        SubElement(element, 'parent', link=parent)
        SubElement(element, 'child', link=child)
        _add_origin(element, at, rotation)
        return element

    def _add_link(self, body: int, name: str) -> None:
        model, anchor = self._model, self._anchor[body]
        link = SubElement(self._robot, 'link', name=name)
        inertial = SubElement(link, 'inertial')
        _add_origin(inertial, model.body_ipos[body] - anchor, _matrix(model.body_iquat[body]))
        SubElement(inertial, 'mass', value=_text([model.body_mass[body]]))
        ixx, iyy, izz = (_text([i]) for i in model.body_inertia[body])
        SubElement(inertial, 'inertia', ixx=ixx, ixy='0', ixz='0', iyy=iyy, iyz='0', izz=izz)
        first = int(model.body_geomadr[body])
        for geom in range(first, first + int(model.body_geomnum[body])):
            for tag in ('visual', 'collision'):
                self._add_shapes(link, tag, geom, anchor)

    def _add_shapes(self, link: Element, tag: str, geom: int, anchor: NDArray) -> None:
        model = self._model
        at, rotation = model.geom_pos[geom] - anchor, _matrix(model.geom_quat[geom])
        kind, (radius, half, _) = model.geom_type[geom], model.geom_size[geom]
        sphere = ('sphere', {'radius': [radius]})
        cylinder = ('cylinder', {'radius': [radius], 'length': [2 * half]})
        if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
            end = half * rotation[:, 2]
            shapes = [(at, *cylinder), (at - end, *sphere), (at + end, *sphere)]
        elif kind == mujoco.mjtGeom.mjGEOM_SPHERE:
            shapes = [(at, *sphere)]
        elif kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
            shapes = [(at, *cylinder)]
        elif kind == mujoco.mjtGeom.mjGEOM_BOX:
            shapes = [(at, 'box', {'size': 2 * model.geom_size[geom]})]
        else:
            raise RobotError(f"{self._source}: geom '{model.geom(geom).name}' is of type "
                             f'{mujoco.mjtGeom(kind).name}, expected a capsule, a cylinder, a '
                             'sphere or a box')
        for place, shape, sizes in shapes:
            element = SubElement(link, tag)
            _add_origin(element, place, rotation)
            SubElement(SubElement(element, 'geometry'), shape,
                       {k: _text(v) for k, v in sizes.items()})
            if tag == 'visual':
                SubElement(element, 'material', name=self._material(model.geom_rgba[geom]))

    def _material(self, rgba: NDArray) -> str:
        key = tuple(round(float(x), 6) for x in rgba)
        return self._materials.setdefault(key, f'color_{len(self._materials) + 1}')


def _matrix(quaternion: NDArray) -> NDArray:
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)


def _rotation_about(axis: NDArray, angle: float) -> NDArray:
    quaternion = np.empty(4)
    mujoco.mju_axisAngle2Quat(quaternion, axis, angle)
    return _matrix(quaternion)


def _rpy(rotation: NDArray) -> NDArray:
    """Roll, pitch and yaw [rad] about the fixed axes x, then y, then z; at the pole roll is 0."""
    cosine = np.hypot(rotation[0, 0], rotation[1, 0])
    pitch = np.arctan2(-rotation[2, 0], cosine)
    if cosine < 1e-9:
        return np.array([0.0, pitch, np.arctan2(-rotation[0, 1], rotation[1, 1])])
    return np.array([np.arctan2(rotation[2, 1], rotation[2, 2]), pitch,
                     np.arctan2(rotation[1, 0], rotation[0, 0])])


def _add_origin(element: Element, at: NDArray, rotation: NDArray) -> None:
    SubElement(element, 'origin', xyz=_text(at), rpy=_text(_rpy(rotation)))


def _text(numbers: Iterable[float]) -> str:
    """Write numbers so that a micrometre survives and rounding noise does not."""
    return ' '.join(f'{round(float(x), 12) + 0.0:.12g}' for x in numbers)
