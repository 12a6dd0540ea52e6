# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A robot to draw, from its MJCF, which MuJoCo reads."""

from collections.abc import Mapping
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from ....errors import RobotError
from ....sim.mjcf import load_model, quiet_compiler
from .link_shapes import Color, link_shapes, Poses
from .meshes import box, capsule, cylinder, ellipsoid, Mesh, rectangle, sphere

WORLD = 'world'  # what MuJoCo calls the body that all others stand on
ENDLESS = 20.0  # [m], edge of a plane that ends nowhere
LAST_SHOWN_GROUP = 2  # of geoms; as in MuJoCo's own viewer, those beyond are for collisions
UNCOLORED = (0.5, 0.5, 0.5, 1.0)  # of a geom that names no colour, so that its material counts
Geom, Joint = mujoco.mjtGeom, mujoco.mjtJoint
SINGLE = (Joint.mjJNT_SLIDE, Joint.mjJNT_HINGE)  # joints whose position is one number


class MjcfRobot:
    """
    A ``RobotModel`` of MJCF: links are MuJoCo's bodies.

    :param text: of the MJCF.
    :param source: where that comes from, for people.
    :param file: that holds it, beside which its meshes and parts lie; ``None`` if it came alone.
    :raises RobotError: if MuJoCo does not load it.
    """

    def __init__(self, text: str, source: str, file: Path | None) -> None:
        self._model = model = _load(text, source) if file is None else load_model(file)
        self._data = mujoco.MjData(model)
        self._links = [model.body(i).name or f'body {i}' for i in range(model.nbody)]
        self._links[0] = WORLD
        self.lacking: list[str] = []
        self._addresses = self._find_joints()
        self.shapes = link_shapes(self._parts(), scenery=WORLD)
        drawn = {shape.link for shape in self.shapes}
        self.torso = next((link for link in self._links[1:] if link in drawn), WORLD)
        self.mass = float(model.body_subtreemass[0])
        self.effort_limits = _effort_limits(model)

    def unmeasured(self, positions: Mapping[str, float]) -> list[str]:
        """Return the joints that move and have no position."""
        return [joint for joint in self._addresses if joint not in positions]

    def poses(self, positions: Mapping[str, float]) -> Poses:
        """Return where all bodies are; a joint without a position is at 0."""
        model, data = self._model, self._data
        data.qpos[:] = model.qpos0  # of free joints and balls
        for joint, address in self._addresses.items():
            data.qpos[address] = positions.get(joint, 0.0)
        mujoco.mj_kinematics(model, data)
        return {link: (data.xmat[i].reshape(3, 3).copy(), data.xpos[i].copy())
                for i, link in enumerate(self._links)}

    def _find_joints(self) -> dict[str, int]:
        """Return where the positions of slides and hinges stand in ``qpos``."""
        model, addresses = self._model, {}
        for i in range(model.njnt):
            name, kind = model.joint(i).name, Joint(model.jnt_type[i])
            if name and kind in SINGLE:
                addresses[name] = int(model.jnt_qposadr[i])
                continue
            what = (f"joint '{name}' is of type {kind.name}" if kind not in SINGLE else
                    f"a joint of body '{self._links[model.jnt_bodyid[i]]}' has no name")
            self.lacking.append(f'how it moves: {what}, expected slides and hinges with names')
        return addresses

    def _parts(self) -> list[tuple[str, Color, Mesh]]:
        model, parts = self._model, []
        for geom in range(model.ngeom):
            red, green, blue, alpha = _rgba(model, geom)
            if model.geom_group[geom] > LAST_SHOWN_GROUP or not alpha or _is_ground(model, geom):
                continue
            link = self._links[model.geom_bodyid[geom]]
            if (mesh := _mesh(model, geom)) is None:
                self.lacking.append(f"link '{link}': geom is {Geom(model.geom_type[geom]).name}")
                continue
            vertices, faces = mesh
            placed = vertices @ _matrix(model.geom_quat[geom]).T + model.geom_pos[geom]
            parts.append((link, (red, green, blue), (placed, faces)))
        return parts


def _load(text: str, source: str) -> mujoco.MjModel:
    try:
        with quiet_compiler():
            return mujoco.MjModel.from_xml_string(text)
    except ValueError as error:
        raise RobotError(f'{source}: MuJoCo does not load it ({" ".join(str(error).split())}), '
                         'expected MJCF that compiles. Files that it names are not sent with it: '
                         "set the viewer's parameter robot to the path of the file") from error


def _mesh(model: mujoco.MjModel, geom: int) -> Mesh | None:
    """Return the triangles of a geom in its own frame, ``None`` if it is of another kind."""
    kind, size = model.geom_type[geom], model.geom_size[geom]
    if kind == Geom.mjGEOM_MESH:
        mesh = model.mesh(model.geom_dataid[geom])
        first, n = int(mesh.vertadr[0]), int(mesh.vertnum[0])
        face, n_faces = int(mesh.faceadr[0]), int(mesh.facenum[0])
        return model.mesh_vert[first:first + n], model.mesh_face[face:face + n_faces]
    if kind == Geom.mjGEOM_PLANE:
        return rectangle(*(2 * half or ENDLESS for half in size[:2].tolist()))
    makers = {Geom.mjGEOM_CAPSULE: lambda: capsule(size[0], 2 * size[1]),
              Geom.mjGEOM_CYLINDER: lambda: cylinder(size[0], 2 * size[1]),
              Geom.mjGEOM_SPHERE: lambda: sphere(size[0]),
              Geom.mjGEOM_ELLIPSOID: lambda: ellipsoid(size),
              Geom.mjGEOM_BOX: lambda: box(2 * size)}
    make = makers.get(Geom(kind))
    return None if make is None else make()


def _is_ground(model: mujoco.MjModel, geom: int) -> bool:
    """Whether a geom is the plane z = 0, which the page draws itself."""
    up = _matrix(model.geom_quat[geom])[:, 2]
    return bool(model.geom_type[geom] == Geom.mjGEOM_PLANE and model.geom_bodyid[geom] == 0
                and np.allclose(up, [0, 0, 1]) and np.isclose(model.geom_pos[geom, 2], 0.0))


def _rgba(model: mujoco.MjModel, geom: int) -> tuple[float, ...]:
    own, material = tuple(model.geom_rgba[geom].tolist()), int(model.geom_matid[geom])
    return own if material < 0 or own != UNCOLORED else tuple(model.mat_rgba[material].tolist())


def _matrix(quaternion: NDArray) -> NDArray:
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)


def _effort_limits(model: mujoco.MjModel) -> dict[str, float]:
    """Return the largest torque or force by joint [N m, N], of those whose motor has one."""
    limits = {}
    for i in range(model.nu):
        is_motor = model.actuator_biastype[i] == mujoco.mjtBias.mjBIAS_NONE
        if (model.actuator_trntype[i] == mujoco.mjtTrn.mjTRN_JOINT and is_motor
                and model.actuator_ctrllimited[i]):
            largest = np.abs(model.actuator_ctrlrange[i]).max() * model.actuator_gainprm[i, 0]
            limits[model.joint(model.actuator_trnid[i, 0]).name] = float(
                abs(model.actuator_gear[i, 0] * largest))
    return limits
