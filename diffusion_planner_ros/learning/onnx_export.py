"""Turn a checkpoint into the files of a model bundle."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import copy
from dataclasses import dataclass
import logging
from pathlib import Path
from typing import Any
import warnings

import numpy as np
from numpy.typing import NDArray
import onnx
import torch
from torch import nn, Tensor
from torch._decomp import core_aten_decompositions
from torch.fx.experimental.proxy_tensor import make_fx

from ..errors import ModelError
from ..files import written
from ..robot import Robot
from .learner import load_checkpoint
from .networks.registry import build_diffusion, build_dynamics_model, build_value
from .train_config import TrainConfig

MAX_BATCH = 4096


@dataclass(frozen=True)
class TrainedModel:
    """The averaged networks of a checkpoint, and the facts that go into the bundle."""

    denoiser: nn.Module
    """Predicts x_0 (B, H, D) from x_t (B, H, D) and t (B,)."""
    value: nn.Module
    dynamics_model: nn.Module
    """Predicts the next state (B, S) from a row (B, D)."""
    robot: Robot
    config: TrainConfig
    facts: dict[str, Any]

    @classmethod
    def load(cls, checkpoint: Path) -> 'TrainedModel':
        """
        Read the averaged networks of a checkpoint.

        :raises ModelError: if it is missing or not a checkpoint.
        """
        saved = load_checkpoint(checkpoint)
        try:
            config = TrainConfig(**saved['config'])
        except TypeError as error:
            raise ModelError(f'{checkpoint}: from another version of this program '
                             f'({error})') from error
        robot = Robot.from_dict(saved['robot'], str(checkpoint))
        networks = {'diffusion': build_diffusion(config, robot),
                    'value': build_value(config, robot),
                    'dynamics_model': build_dynamics_model(config, robot)}
        for name, network in networks.items():
            network.load_state_dict(saved[f'averaged_{name}'])
            network.eval().requires_grad_(False)
        facts = {
            'robot': robot.to_dict(),
            'horizon': config.horizon,
            'schedule': {'name': config.schedule, 'n_steps': config.n_diffusion_steps},
            'normalizer': {'mean': saved['mean'], 'std': saved['std']},
            'value_normalizer': {'mean': [saved['value_mean']], 'std': [saved['value_std']]},
            'training': {**saved['config'], 'n_updates_done': saved['n_updates']},
            'data': saved['facts']}
        return cls(*networks.values(), robot, config, facts)

    @property
    def networks(self) -> tuple[nn.Module, nn.Module, nn.Module]:
        """Denoiser, value and dynamics model."""
        return self.denoiser, self.value, self.dynamics_model

    def value_and_gradient(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return V(x_t, t) (B,) and its gradient with respect to x_t (B, H, D)."""
        with torch.enable_grad():
            x_t = x_t.detach().requires_grad_(True)
            value = self.value(x_t, t)
            gradient, = torch.autograd.grad(value.sum(), x_t)
        return value.detach(), gradient

    def example(self, batch_size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Return random inputs x_t and t; a row of x_t is one for the dynamics model."""
        generator = torch.Generator().manual_seed(seed)
        row_dim = self.robot.action_dim + self.robot.state_dim
        return (torch.randn(batch_size, self.config.horizon, row_dim, generator=generator),
                torch.randint(self.config.n_diffusion_steps, (batch_size,), generator=generator))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's advice to developers of torch from a user who only exports."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            yield
        finally:
            logger.setLevel(level)


def _save(model: nn.Module, example: dict[str, Tensor], outputs: list[str], file: Path) -> None:
    batch = torch.export.Dim('batch', min=1, max=MAX_BATCH)
    with _quiet():
        program = torch.onnx.export(
            model, tuple(example.values()), dynamo=True, verbose=False,
            input_names=list(example), output_names=outputs,
            dynamic_shapes=tuple({0: batch} for _ in example))
        with written(file) as scratch:
            program.save(str(scratch))


def trace_gradient(function: Callable, example: tuple[Tensor, Tensor]) -> nn.Module:
    """
    Trace a function that calls autograd into a graph of plain operations.

    The ONNX exporter does not see through ``torch.autograd.grad``; a trace of it for a batch of
    any size has nothing left to see through.
    """
    with _quiet():
        return make_fx(function, decomposition_table=core_aten_decompositions(),
                       tracing_mode='symbolic', _allow_non_fake_inputs=True)(*example)


def export_networks(model: TrainedModel, denoiser_file: Path, value_file: Path,
                    dynamics_file: Path) -> None:
    """Write denoiser, value with its gradient and dynamics model as ONNX, for any batch size."""
    # A batch of 1 would be taken for a constant.
    x_t, t = model.example(3)
    inputs = {'x_t': x_t, 'times': t}
    _save(model.denoiser, inputs, ['x_0'], denoiser_file)
    # The tracer counts the arguments of a bound method wrongly.
    gradient = trace_gradient(lambda x_t, t: model.value_and_gradient(x_t, t), (x_t, t))
    _save(gradient, inputs, ['value', 'gradient'], value_file)
    _save(model.dynamics_model, {'row': x_t[:, 0]}, ['next_state'], dynamics_file)


class WeightWriter:
    """
    Write networks as ONNX again and again, tracing them only once.

    Tracing takes seconds, and between two rounds of an alignment nothing but weights changes.

    :param model: networks of the shapes to be written; their weights do not matter.
    :param folder: for the traced files, which are used up.
    :param names: files of denoiser, value and dynamics model.
    :raises ModelError: if a weight is not found again.
    """

    def __init__(self, model: TrainedModel, folder: Path, names: tuple[str, str, str]) -> None:
        blank = copy.deepcopy(model)
        # Random weights are unlike each other: each is found again in the graph by its content.
        torch.manual_seed(0)
        for network in blank.networks:
            for weight in network.state_dict().values():
                weight.normal_()
        export_networks(blank, *(folder / name for name in names))
        self._graphs = {name: onnx.load(folder / name) for name in names}
        self._places: list[list[tuple[onnx.TensorProto, str, bool]]] = []
        for (file, graph), network in zip(self._graphs.items(), blank.networks, strict=True):
            weights = {name: w.numpy() for name, w in network.state_dict().items()}
            places = [
                (tensor, *place) for tensor in graph.graph.initializer
                if (place := _find(onnx.numpy_helper.to_array(tensor), weights)) is not None]
            lost = dict(network.named_parameters()).keys() - {name for _, name, _ in places}
            if lost:
                raise ModelError(f"{folder / file}: {len(lost)} weights, '{min(lost)}' among "
                                 'them, are not in the graph, expected all; this version of torch '
                                 'computes something from them')
            self._places.append(places)

    def write(self, model: TrainedModel, folder: Path) -> None:
        """Write a model's weights to files in ``folder``."""
        for (file, graph), places, network in zip(
                self._graphs.items(), self._places, model.networks, strict=True):
            weights = network.state_dict()
            for tensor, name, is_transposed in places:
                weight = weights[name].T if is_transposed else weights[name]
                filled = weight.reshape(tuple(tensor.dims)).contiguous().numpy()
                tensor.CopyFrom(onnx.numpy_helper.from_array(filled, tensor.name))
            with written(folder / file) as scratch:
                onnx.save(graph, str(scratch))


def _find(array: NDArray, weights: dict[str, NDArray]) -> tuple[str, bool] | None:
    """Return the name of the weight with this content, and whether it is transposed."""
    for name, weight in weights.items():
        # Of another shape: the exporter spreads the weights of a group norm over channels.
        if np.array_equal(array.ravel(), weight.ravel()):
            return name, False
        if weight.ndim == 2 and np.array_equal(array, weight.T):
            return name, True
    return None
