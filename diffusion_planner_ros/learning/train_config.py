# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Settings of a training run."""

from dataclasses import dataclass
from typing import Literal

from ..errors import ConfigError
from ..settings import check_settings, document_settings, setting
from .networks.denoiser_registry import DENOISERS


@document_settings
@dataclass(frozen=True)
class TrainConfig:
    """What is learned, and how."""

    denoiser: str = setting(
        'mlp', 'Network: residual MLP on the flattened window, temporal U-Net, or transformer '
        'over the rows.', choices=DENOISERS)
    width: int = setting(
        192, 'Hidden width of the MLP, channels of the U-Net (a multiple of 8), or features of a '
        'row in the transformer (a multiple of 32).', low=8, high=4096)
    depth: int = setting(
        3, 'Residual blocks of the MLP, or blocks of attention and MLP in the transformer; the '
        'U-Net has three resolutions.', low=1, high=64)
    value_width: int = setting(128, 'Hidden width of the value network.', low=8, high=4096)
    value_depth: int = setting(2, 'Residual blocks of the value network.', low=1, high=64)
    dynamics_width: int = setting(256, 'Hidden width of the dynamics model.', low=8, high=4096)
    dynamics_depth: int = setting(2, 'Hidden layers of the dynamics model.', low=1, high=64)
    window: Literal['joint', 'states', 'actions'] = setting(
        'joint', 'What the denoiser plans: actions and states; states alone, actions following by '
        'inverse dynamics; or actions alone, given the first state, as a policy does.')
    horizon: int = setting(8, 'Rows of a window, H.', unit='control periods', low=2, high=1024)
    schedule: Literal['cosine', 'linear'] = setting(
        'cosine', 'Noise schedule (Nichol and Dhariwal 2021; Ho et al. 2020).')
    n_diffusion_steps: int = setting(20, 'Diffusion steps, T.', low=2, high=1000)
    prediction: Literal['x0', 'eps', 'v'] = setting(
        'x0', 'What the network predicts: the clean trajectory; its noise, which takes more '
        'updates to learn and more denoising steps to plan with; or v, a part of both: nearly the '
        'trajectory where there is much noise, and nearly the noise where there is little.')
    scaling: Literal['std', 'limits'] = setting(
        'std', 'How data are scaled, entry by entry: to mean 0 and standard deviation 1, or from '
        'their smallest and largest value to -1 and 1, beyond which no plan is denoised then.')
    label: Literal['executed', 'policy'] = setting(
        'executed', 'Actions that the denoiser imitates: the executed ones, or what the policy '
        'meant before exploration noise was added, which is in data of collect. Value and '
        'dynamics model learn from the executed ones.')
    condition_share: float = setting(
        0.0, 'Share of the windows of which more is known than the first state: the last one, '
        'others, single entries, the first actions, or a goal at which the robot stays. So plans '
        'go where goals tell them.',
        low=0.0, high=1.0)
    return_share: float = setting(
        0.0, 'Share of the windows in which the denoiser is told the return that followed, for '
        "the planner's return_weight; 0 for a denoiser that never is.", low=0.0, high=1.0)
    told: Literal['return', 'speed'] = setting(
        'return', 'What the denoiser is told in the windows of return_share: the return that '
        'followed, or the speed that was commanded, which is in data of collect --speeds.')
    first_action_weight: float = setting(
        5.0, "Weight of the first action's loss: it is the one that is executed.",
        low=0.0, high=1000.0)
    discount: float = setting(
        0.99, 'Discount of the return-to-go per control period.',
        low=0.0, high=0.9999)
    fall_penalty: float = setting(100.0, 'What a fall costs.', unit='reward', low=0.0, high=1e6)
    value_target: Literal['returns', 'expectile'] = setting(
        'returns', 'What the value learns: the returns that were recorded; or the rewards within '
        'a window and an upper expectile of what can follow (implicit Q-learning).')
    expectile: float = setting(
        0.7, 'Which expectile the value learns, with value_target expectile; 0.5 is the mean.',
        low=0.01, high=0.99)
    weighting: Literal['none', 'advantage'] = setting(
        'none', 'Windows that the denoiser imitates: all alike, or rather those that turned out '
        'better than the expectile of what can follow, which needs value_target expectile.')
    temperature: float = setting(
        1.0, 'With weighting: the advantage that makes a window e times as likely.',
        unit='standard deviations of the advantage', low=0.01, high=100.0)
    n_updates: int = setting(40_000, 'Gradient steps.', low=1, high=100_000_000)
    batch_size: int = setting(256, 'Windows per gradient step.', low=1, high=65_536)
    learning_rate: float = setting(
        5e-4, 'Peak learning rate of the denoiser (AdamW, warm-up, '
        'cosine decay).', low=1e-8, high=1.0)
    value_learning_rate: float = setting(
        3e-4, 'Peak learning rate of the value.',
        low=1e-8, high=1.0)
    dynamics_learning_rate: float = setting(
        3e-3, 'Peak learning rate of the dynamics model.',
        low=1e-8, high=1.0)
    ema_decay: float = setting(
        0.999, 'Decay of the averaged weights, which are the ones exported.',
        low=0.0, high=0.99999)
    checkpoint_every: int = setting(
        2_000, 'Gradient steps between checkpoints.', low=1,
        high=100_000_000)
    seed: int = setting(0, 'Seed of weights, batches and noise.', low=0, high=2**31 - 1)
    device: str = setting('cpu', "Torch device, for example 'cpu', 'cuda' or 'cuda:1'.")
    n_threads: int = setting(1, 'CPU threads.', low=1, high=1024)

    def __post_init__(self) -> None:
        check_settings(self)
        if self.weighting == 'advantage' and self.value_target != 'expectile':
            raise ConfigError("weighting is 'advantage', which needs values of what can follow, "
                              f"but value_target is '{self.value_target}', expected 'expectile'")
        for name, other, value in (('expectile', 'value_target', 'expectile'),
                                   ('temperature', 'weighting', 'advantage')):
            default = getattr(TrainConfig, name)
            if getattr(self, other) != value and getattr(self, name) != default:
                raise ConfigError(f"{name} is {getattr(self, name)}, which changes nothing with "
                                  f"{other} '{getattr(self, other)}', expected {other} '{value}', "
                                  f'or {name} {default}')
