"""Settings of the planner node that are not those of one of its parts."""

from dataclasses import dataclass

from ...settings import check_settings, document_settings, setting

MEASURED = -1  # an action delay that is to be measured


@document_settings
@dataclass(frozen=True)
class PlannerNodeConfig:
    """Parameters of the planner node itself."""

    bundle: str = setting(
        '', 'Folder of the model bundle; empty takes the shipped Walker2D. A new '
        'one is loaded beside the one in use, and takes over if it passes.')
    autostart: bool = setting(
        True, 'Configure and activate at the start, without being asked.',
        read_only=True)
    lockstep: bool = setting(False, 'Answer every state with exactly one command.', read_only=True)
    robot_description: str = setting(
        '', 'URDF, as text: its effort limits bound the torque, its '
        'links are drawn. Empty takes the shipped one of the robot, if '
        'there is one.', read_only=True)
    torque_limit: tuple[float, ...] = setting(
        (1e4,), "Largest torque: one for all joints, or one for each in the order of the action "
        "layout. The smallest of this, the URDF's and the bundle's limit holds.", unit='N m',
        low=0.0, high=1e4, read_only=True)
    torque_scale: float = setting(1.0, 'Factor on every planned torque.', low=0.0, high=1.0)
    ramp_time: float = setting(
        1.0, 'Time from zero to full torque after enabling and after a stop.',
        unit='s', low=0.0, high=60.0, read_only=True)
    stop_duration: float = setting(
        1.0, 'How long damping or hold goes on after deactivation or '
        'shutdown, before the torque is zero.', unit='s', low=0.0,
        high=60.0, read_only=True)
    max_plan_gap: float = setting(
        0.1, 'Longest wall time between two planned commands, and from '
        'sending a state to the torque that follows from it, before the '
        'robot is stopped, without lockstep.', unit='s', low=0.001,
        high=10.0, read_only=True)
    action_delay: int = setting(
        MEASURED, 'Control periods between a state and the first action that '
        'its plan decides; those before are known to it. -1 measures it.',
        unit='control periods', low=MEASURED, high=100, read_only=True)

    def __post_init__(self) -> None:
        check_settings(self)
