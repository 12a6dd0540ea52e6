# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A planner and the monitor that judges its predictions, both of one bundle."""

from dataclasses import dataclass

from ...planning.bundle import Bundle
from ...planning.monitor import MonitorConfig, PredictionMonitor
from ...planning.planner import Planner
from ...planning.planner_config import PlannerConfig

AS_MEASURED, NOT_MEASURED = 'as measured', 'none'  # see Model.calibration


@dataclass(frozen=True)
class Model:
    """A planner and its monitor; both are replaced at once, between two plans."""

    planner: Planner
    monitor: PredictionMonitor

    @classmethod
    def build(cls, bundle: Bundle, planner: PlannerConfig, monitor: MonitorConfig,
              before: 'Model | None' = None) -> 'Model':
        """
        Build both with the settings of now.

        :param before: the model in use, if there is one. Its monitor, which remembers the
            last states, is used again with the new thresholds, unless the bundle changed.
        :raises ConfigError: as ``Planner``.
        """
        built = Planner(bundle, planner)
        if before is not None and before.planner.bundle is bundle:
            before.monitor.configure(monitor)
            return cls(built, before.monitor)
        return cls(built, PredictionMonitor(bundle, monitor))

    @property
    def calibration(self) -> str:
        """
        Say whether the monitor is calibrated for the settings of the planner.

        :return: ``AS_MEASURED``; ``NOT_MEASURED`` if the bundle has no calibration; otherwise
            every setting that differs, and what to do.
        """
        calibration = self.monitor.calibration
        if calibration is None:
            return NOT_MEASURED
        if self.planner.bundle.has_dynamics:
            return AS_MEASURED  # the dynamics model predicts, whatever the settings
        differences = calibration.differences(self.planner.config.decisive)
        if not differences:
            return AS_MEASURED
        return '; '.join([*differences, 'run diffusion_planner calibrate'])
