"""A robot that is not the one in the data: other masses, other friction, pushes, noise."""

from dataclasses import dataclass

from ..knobs import check_knobs, document_knobs, knob


@document_knobs
@dataclass(frozen=True)
class Change:
    """What is different about the simulated robot; nothing by default."""

    mass: float = knob(1.0, 'Factor on the mass and inertia of every body.', low=0.1, high=10.0)

    def __post_init__(self) -> None:
        check_knobs(self)


UNCHANGED = Change()
