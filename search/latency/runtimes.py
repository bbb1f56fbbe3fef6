"""The ways to run an encoder's forward pass that can be timed: one function makes any of them from its case.

Weights are random: latency does not depend on them as long as no number is subnormal or not finite, and with BERT's
initialisation none is.
"""

import shutil
import types
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from model_zoo.bilstm import BiLSTM
from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.config import EncoderConfig
from model_zoo.cost import cost
from model_zoo.encoder import Encoder, EncoderOutput
from model_zoo.onnx_export import needs
from model_zoo.student import Student, student_cost
from search.latency.case import DEPLOYED, LatencyCase
from search.latency.deployed import deployed_pass
from search.machine import cores

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def check_runtime(case: LatencyCase) -> None:
    """Raises ValueError, with the way out, where this machine or installation lacks what the case needs."""
    if case.device != "cpu" and not torch.cuda.is_available():
        raise ValueError(f"latency on {case.device!r} needs a GPU that torch sees, found none; use device cpu")
    if case.runtime == "compile" and case.device == "cpu" and not (shutil.which("g++") or shutil.which("clang++")):
        raise ValueError("runtime compile needs a C++ compiler, found none; install one (apt-get install g++)")
    if case.runtime in ("onnx", "onnx-int8"):
        needs("onnx", "onnxscript", "onnxruntime")


def check_threads(case: LatencyCase) -> None:
    """Raises ValueError where a case on the CPU has more threads than this process may use cores: they would wait for
    each other."""
    if case.device == "cpu" and case.threads > cores():
        raise ValueError(
            f"threads must be at most the cores that this process may use, {cores()}, got {case.threads}; "
            "lower --threads"
        )


def forward(config: Student, case: LatencyCase, seed: int, *, folder: Path | None = None) -> Callable[[], None]:
    """A function that runs one forward pass of an encoder, or of a BiLSTM for single texts, with random weights and
    returns when it is done.

    Args:
        seed: of weights and token ids.
        folder: where ONNX files of this config and seed are kept, so that several runtimes share one export; temporary
            without it.

    Raises:
        ValueError: the encoder is shorter than the case, the batch does not fit into memory, or outputs are not finite;
            a BiLSTM in a runtime other than eager.
    """
    if isinstance(config, BiLSTMConfig):
        return _bilstm_forward(config, case, seed)
    check_fit(config, case)
    device = torch.device(case.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(config).eval().requires_grad_(False).to(device, _DTYPES[case.dtype])
        token_ids = torch.randint(config.vocab_size, (case.batch, case.length)).to(device)
    mask, token_types = torch.ones_like(token_ids, dtype=torch.bool), torch.zeros_like(token_ids)

    def as_built() -> Tensor:
        output: EncoderOutput = encoder(token_ids, mask, token_types)
        return output.feature_maps[-1]

    batch = (token_ids, mask, token_types)
    plain = deployed_pass(encoder, case, batch, folder) if case.runtime in DEPLOYED else as_built
    if not plain().isfinite().all():
        raise ValueError("latency needs finite activations, random weights give others; check the config")
    if case.runtime == "compile":
        compiled = torch.compile(with_code_of_its_own(plain), dynamic=False)
        compiled()  # compiles
        return _timed(compiled, device)
    return _timed(_graph(plain) if case.runtime == "cuda-graph" else plain, device)


def _bilstm_forward(config: BiLSTMConfig, case: LatencyCase, seed: int) -> Callable[[], None]:
    if case.runtime != "eager":
        raise ValueError(
            f"a BiLSTM is timed in eager alone, got runtime {case.runtime}: it packs texts by their lengths"
        )
    tokens = case.batch * case.length
    # Word vectors, the gates' inputs of both directions and what they give.
    kept = tokens * (config.embedding_size + 10 * config.hidden_size)
    _check_memory(_DTYPES[case.dtype].itemsize * (student_cost(config, case.length).parameters + kept), case)
    device = torch.device(case.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = BiLSTM(config).eval().requires_grad_(False).to(device, _DTYPES[case.dtype])
        token_ids = torch.randint(config.vocab_size, (case.batch, case.length)).to(device)
    mask = torch.ones_like(token_ids, dtype=torch.bool)
    return _timed(lambda: network(token_ids, mask), device)


def needed_bytes(config: EncoderConfig, case: LatencyCase) -> int:
    """A lower bound of what a forward pass holds at once: weights, all feature maps, one block's widest tensors."""
    tokens = case.batch * case.length
    feature_maps = (config.num_layers + 1) * tokens * config.hidden_size
    scores = 2 * case.batch * config.num_heads * case.length**2
    # What a feed-forward of one's own holds is not known: nothing keeps this a lower bound.
    inner = 2 * tokens * config.feed_forward_size if config.feed_forward == "dense" else 0
    element = _DTYPES[case.dtype].itemsize
    return element * (cost(config, case.length).parameters + feature_maps + max(scores, inner))


def free_bytes(device: str) -> int | None:
    """Memory that could be had on a device now; None where the system does not say."""
    if device != "cpu":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def check_fit(config: EncoderConfig, case: LatencyCase) -> None:
    """Raises ValueError where a case is longer than the encoder, or certainly does not fit into memory."""
    if case.length > config.max_positions:
        raise ValueError(
            f"latency at length {case.length} needs max_positions of at least that, got {config.max_positions}; "
            "shorten the case or lengthen the encoder"
        )
    _check_memory(needed_bytes(config, case), case)


def _check_memory(needed: int, case: LatencyCase) -> None:
    free = free_bytes(case.device)
    if free is not None and needed > free:
        raise ValueError(
            f"a forward pass must fit into memory, a batch of {case.batch} x {case.length} needs at least "
            f"{needed / 1e9:,.1f} GB and {free / 1e9:,.1f} GB are free; use a smaller --batch or --length"
        )


def with_code_of_its_own(function: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """The function with a code object of its own.

    torch's compiler keeps what it compiled by code object, and after eight forms of one it runs all further ones in
    eager and only logs that: a session has more encoders than eight.
    """
    assert isinstance(function, types.FunctionType)
    own = function.__code__.replace()
    return types.FunctionType(own, function.__globals__, function.__name__, None, function.__closure__)


def _timed(run: Callable[[], object], device: torch.device) -> Callable[[], None]:
    def call() -> None:
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return call


def _graph(plain: Callable[[], Tensor]) -> Callable[[], object]:
    """Record one pass as a CUDA graph; replaying it launches all kernels at once."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):  # libraries choose their kernels and buffers before anything is recorded
            plain()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        plain()
    return graph.replay
