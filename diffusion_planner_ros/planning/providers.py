# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Choose where onnxruntime computes, and never fall back in silence."""

import onnxruntime

from ..errors import ProviderError

PROVIDERS = {'cpu': 'CPUExecutionProvider', 'cuda': 'CUDAExecutionProvider',
             'tensorrt': 'TensorrtExecutionProvider'}
FASTEST_FIRST = ('cuda', 'cpu')  # TensorRT builds an engine for minutes: only when asked for
# TensorFloat-32 rounds to 10 bits, and made plans differ from those of a CPU a thousandfold more.
OPTIONS = {'cuda': {'use_tf32': '0'}}


def choose_provider(name: str) -> str:
    """
    Return the name of the provider to use, resolving ``auto``; load the libraries that it needs.

    :raises ProviderError: if a provider asked for by name is not there.
    """
    available = onnxruntime.get_available_providers()
    if name == 'auto':
        name = next(n for n in FASTEST_FIRST if PROVIDERS[n] in available)
    if PROVIDERS[name] not in available:
        there = ', '.join(n for n, p in PROVIDERS.items() if p in available)
        raise ProviderError(f"provider '{name}' is not available, expected one of {there} (or "
                            "'auto'); install onnxruntime-gpu and the NVIDIA libraries for cuda "
                            'and tensorrt')
    if name != 'cpu' and hasattr(onnxruntime, 'preload_dlls'):  # since onnxruntime 1.21
        onnxruntime.preload_dlls()  # from where pip puts them, which the system does not search
    return name


def open_session(content: bytes, provider: str, n_threads: int) -> onnxruntime.InferenceSession:
    """
    Open a model on exactly this provider.

    :param content: of the ONNX file.
    :param provider: a key of ``PROVIDERS``.
    :raises ProviderError: if onnxruntime put the model elsewhere.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    # Idle threads that spin would steal the core on which the robot's driver runs.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        content, options, providers=[(PROVIDERS[provider], OPTIONS.get(provider, {}))])
    used = session.get_providers()[0]
    if used != PROVIDERS[provider]:
        raise ProviderError(f"onnxruntime lists the provider '{provider}' but uses {used}: a "
                            'library could not be loaded, which it names in the lines before; '
                            "install it, or say 'cpu' where there is no GPU")
    return session
