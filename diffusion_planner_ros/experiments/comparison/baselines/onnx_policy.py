# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A policy from an ONNX file, as a controller asks it for actions."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
import onnxruntime

from ....errors import ModelError
from ....planning.providers import open_session

POLICY_FILE = 'policy.onnx'


class OnnxPolicy:
    """
    Actions of a network, without noise.

    :param session: maps ``state`` (B, S) [SI] to actions (B, A) [torque limits].
    """

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session

    @classmethod
    def load(cls, folder: Path) -> 'OnnxPolicy':
        """
        Open ``folder/policy.onnx`` on one thread of the CPU.

        :raises ModelError: if it is missing.
        """
        file = folder / POLICY_FILE
        if not file.is_file():
            raise ModelError(f'{file}: no such file; expected a policy that compare trained')
        return cls(open_session(file.read_bytes(), 'cpu', 1))

    def distribution(self, states: NDArray) -> tuple[NDArray, NDArray]:
        """Return the actions of states (B, S), and their standard deviation, which is 0."""
        mean, = self._session.run(None, {'state': states.astype(np.float32)})
        return mean, np.zeros_like(mean)
