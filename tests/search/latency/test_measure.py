"""Real, tiny measurements: what a session holds, what is restored afterwards, and what is refused."""

import gc
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.config import EncoderConfig
from model_zoo.deploy import FoldedEncoder
from model_zoo.encoder import Encoder
from search.latency.case import DEPLOYED, LatencyCase
from search.latency.deployed import deployed_pass
from search.latency.lock import lock_path, measurement_lock
from search.latency.measure import check_measurable, measure_latency, measure_until_kept, peak_memory_bytes
from search.latency.protocol import fixed_rounds
from search.latency.runtimes import free_bytes, with_code_of_its_own
from search.latency.session import LatencySession
from search.latency.summary import summarise
from search.values import from_json, to_json

TINY = EncoderConfig(
    num_layers=1,
    hidden_size=16,
    bottleneck_size=8,
    num_heads=2,
    feed_forward_size=16,
    embedding_size=8,
    vocab_size=40,
    max_positions=16,
)
CASE = LatencyCase(batch=2, length=8)
ONE_ROUND = fixed_rounds(1, warmup=1)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LatencySession]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("lock")))
        yield measure_latency(
            {"same": TINY, "deep": replace(TINY, num_layers=8)}, TINY, CASE, seed=0, protocol=fixed_rounds(5, warmup=1)
        )


def test_a_session_holds_a_sample_per_round_of_candidates_reference_and_control(session: LatencySession) -> None:
    assert session.rounds == 5
    assert [candidate.name for candidate in session.candidates] == ["same", "deep"]
    assert session.control.config == session.reference.config == TINY
    assert all(sorted(order) == [0, 1, 2, 3] for order in session.orders)
    assert session.conditions["threads"] == 1
    assert session.conditions["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert {"machine", "thread_pools"} <= set(session.conditions) and "keeps_freed_memory" in session.conditions
    if hasattr(os, "getloadavg"):
        assert len(session.conditions["load_before"]) == len(session.conditions["load_after"]) == 3


def test_a_deeper_encoder_takes_longer(session: LatencySession) -> None:
    assert summarise(session).candidates["deep"].ratio.value > 2.0


def test_a_session_survives_json(session: LatencySession) -> None:
    assert from_json(LatencySession, json.loads(json.dumps(to_json(session), allow_nan=False))) == session


def test_a_session_with_a_lost_or_impossible_sample_or_of_another_version_is_refused(session: LatencySession) -> None:
    short = replace(session.control, forward_ns=session.control.forward_ns[1:])
    with pytest.raises(ValueError, match=r"one sample per round, got counts \[4, 5\]"):
        replace(session, control=short)
    with pytest.raises(ValueError, match="above 0 and finite"):
        replace(session, control=replace(session.control, forward_ns=(float("nan"),) * 5))
    with pytest.raises(ValueError, match="schema must be 1, got 2"):
        replace(session, schema=2)


def test_threads_garbage_collection_and_random_numbers_are_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    seen: list[tuple[int, bool]] = []
    measure_latency(
        {},
        TINY,
        replace(CASE, threads=threads + 1),
        seed=0,
        protocol=fixed_rounds(1, warmup=1),
        progress=lambda done, total: seen.append((torch.get_num_threads(), gc.isenabled())),
    )
    assert seen == [(threads + 1, False)] * 2
    assert torch.get_num_threads() == threads and gc.isenabled()
    assert torch.equal(torch.get_rng_state(), state)


def test_an_encoder_shorter_than_the_case_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="the reference cannot be measured: latency at length 17 needs max_positions"):
        measure_latency({}, TINY, LatencyCase(batch=1, length=17), seed=0, protocol=fixed_rounds(1))


def test_a_candidate_that_cannot_be_measured_is_named_and_the_others_go_on() -> None:
    wide = replace(TINY, max_positions=32)
    session = measure_latency(
        {"short": TINY, "fits": wide}, wide, LatencyCase(batch=1, length=17), seed=0, protocol=fixed_rounds(1)
    )
    assert [candidate.name for candidate in session.candidates] == ["fits"]
    (missing,) = session.unmeasured
    assert missing.name == "short"
    assert missing.reason == (
        "latency at length 17 needs max_positions of at least that, got 16; shorten the case or lengthen the encoder"
    )


def test_a_batch_that_does_not_fit_is_refused_before_it_is_tried() -> None:
    if free_bytes("cpu") is None:
        pytest.skip("this system does not say")
    huge = LatencyCase(batch=10**9, length=16)
    with pytest.raises(ValueError, match=r"a batch of 1000000000 x 16 needs at least .* GB .* are free; use a smaller"):
        measure_latency({}, TINY, huge, seed=0, protocol=fixed_rounds(1))


def test_a_candidate_that_cannot_be_exported_is_named_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from search.latency import deployed

    export = deployed.export_onnx

    def failing(network: FoldedEncoder, *about: object, **options: object) -> None:
        if len(network.blocks) == 2:
            raise ValueError("torch could not export the network to ONNX: no such operator")
        export(network, *about, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(deployed, "export_onnx", failing)
    case = replace(CASE, runtime="onnx-int8")
    session = measure_latency({"two": replace(TINY, num_layers=2), "one": TINY}, TINY, case, seed=0, protocol=ONE_ROUND)
    assert [candidate.name for candidate in session.candidates] == ["one"]
    assert [(one.name, one.reason) for one in session.unmeasured] == [
        ("two", "torch could not export the network to ONNX: no such operator")
    ]
    with pytest.raises(
        ValueError, match=r"^latency cannot be measured in onnx-int8: torch could not export .* operator$"
    ):
        check_measurable(replace(TINY, num_layers=2), case)


def test_what_a_search_cannot_measure_is_refused_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    check_measurable(TINY, CASE)
    with pytest.raises(
        ValueError, match=r"^threads must be at most the cores that this process may use, \d+, got 4096; "
    ):
        check_measurable(TINY, replace(CASE, threads=4096))
    if free_bytes("cpu") is not None:
        with pytest.raises(
            ValueError, match=r"^latency cannot be measured in eager: a forward pass must fit into memory"
        ):
            check_measurable(TINY, replace(CASE, batch=10**9))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    message = (
        "latency cannot be measured in onnx-int8: ONNX needs the package onnxruntime, which is not installed; pip "
        "install 'thinbert[onnx]'"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_measurable(TINY, replace(CASE, runtime="onnx-int8"))


def test_a_session_with_too_wide_a_control_is_done_again_and_then_given_up() -> None:
    strict = replace(fixed_rounds(4, warmup=1, control_width=1e-9), repeats=2)
    outcome = measure_until_kept({"same": TINY}, TINY, CASE, seed=0, protocol=strict)
    assert outcome.session is None and len(outcome.refused) == 3
    assert "A/A control's 95 % interval must be at most 1e-07 % wide, it is" in outcome.refused[0]
    generous = replace(strict, control_width=1e9)
    kept = measure_until_kept({"same": TINY}, TINY, CASE, seed=0, protocol=generous)
    assert kept.session is not None and kept.refused == kept.session.refused == ()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="latency on 'cuda' needs a GPU that torch sees, found none; use device cpu"):
        measure_latency({}, TINY, replace(CASE, device="cuda"), seed=0, protocol=fixed_rounds(1))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("runtime", "onyx", "runtime must be one of eager, compile, cuda-graph, folded, onnx, onnx-int8; got 'onyx'"),
        ("dtype", "int4", "dtype must be one of float32, bfloat16; got 'int4'"),
        ("runtime", "cuda-graph", "runtime cuda-graph needs a GPU, got device 'cpu'; use device cuda or runtime eager"),
        ("device", "", "device must be a name such as cpu or cuda:0, got ''"),
        ("threads", 0, "threads must be a whole number of at least 1, got 0"),
        ("batch", True, "batch must be a whole number of at least 1, got True"),
        ("length", 1.5, "length must be a whole number of at least 1, got 1.5"),
    ],
)
def test_a_case_that_cannot_be_measured_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(CASE, **{field: value})


def test_a_case_needs_no_torch() -> None:
    code = "import sys, search.latency.case, search.latency.session; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_second_measurement_waits_for_the_first_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("fcntl")
    path = tmp_path / "lock"
    inside, waited, done = threading.Event(), threading.Event(), []
    caplog.set_level(logging.INFO, logger="search.latency.lock")

    def first() -> None:
        with measurement_lock(path):
            inside.set()
            waited.wait(10)
            done.append("first")

    def second() -> None:
        with measurement_lock(path) as seconds:
            done.append("second")
            assert seconds > 0

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    while "waiting for another latency measurement" not in caplog.text:
        assert threads[1].is_alive()
    waited.set()
    for thread in threads:
        thread.join(10)
    assert done == ["first", "second"]


def test_a_killed_measurement_leaves_no_lock(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    path = tmp_path / "lock"
    code = (
        "import pathlib, sys, time; from search.latency.lock import measurement_lock\n"
        "with measurement_lock(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        process.kill()
        process.wait()
    with measurement_lock(path) as seconds:
        assert seconds < 5


def test_the_lock_lies_in_the_folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert lock_path().parent == tmp_path


def test_peak_memory_counts_bytes_and_does_not_fall_when_memory_is_given_back() -> None:
    if peak_memory_bytes() is None:
        pytest.skip("this system does not say")
    # In a process of its own: an earlier test's peak in this one may be higher than what is allocated here.
    code = (
        "import torch; from search.latency.measure import peak_memory_bytes as peak; before = peak(); "
        "block = torch.ones(50_000_000); during = peak(); del block; print(before, during, peak())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    before, during, after = map(int, done.stdout.split())
    assert before > 20_000_000  # an interpreter with torch
    assert during > before + 150_000_000 and after > 0.99 * during  # 200 MB


def test_deployed_runtimes_compute_what_the_encoder_computes() -> None:
    torch.manual_seed(0)
    encoder = Encoder(replace(TINY, norm="no_norm")).eval()
    ids = torch.randint(40, (2, 9))
    batch = (ids, torch.ones_like(ids, dtype=torch.bool), ids % 2)
    with torch.inference_mode():
        expected = encoder(*batch).feature_maps[-1]
        for runtime in DEPLOYED:
            found = deployed_pass(encoder, LatencyCase(runtime=runtime, batch=2, length=9), batch)()
            bound = 0.1 if runtime == "onnx-int8" else 1e-5  # int8: one part in 256 per product, a dozen deep
            assert (found - expected).abs().max() <= bound * expected.abs().max()


def test_the_ninth_pass_of_a_process_is_compiled_too() -> None:
    compiled = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., object]:
        compiled.append(graph)
        return graph.forward

    def make(size: int) -> Callable[[], torch.Tensor]:
        values = torch.ones(size)
        return lambda: values + 1

    for size in range(2, 12):
        torch.compile(with_code_of_its_own(make(size)), dynamic=False, backend=backend)()
    assert len(compiled) == 10


def test_a_deployed_runtime_is_for_float32_on_the_cpu() -> None:
    with pytest.raises(ValueError, match="runtime onnx is for float32 on the CPU, got bfloat16 on 'cpu'"):
        LatencyCase(runtime="onnx", dtype="bfloat16", batch=1, length=8)


def test_a_bilstm_is_timed_beside_encoders_in_eager_and_named_elsewhere() -> None:
    recurrent = BiLSTMConfig(embedding_size=4, num_channels=1, hidden_size=3, dense_size=4, vocab_size=40)
    session = measure_latency({"lstm": recurrent, "b": TINY}, TINY, CASE, seed=0, protocol=fixed_rounds(3))
    assert [one.name for one in session.candidates] == ["lstm", "b"]
    assert session.candidates[0].series.config == recurrent
    assert from_json(LatencySession, json.loads(json.dumps(to_json(session)))) == session
    folded = measure_latency(
        {"lstm": recurrent, "b": TINY}, TINY, replace(CASE, runtime="folded"), seed=0, protocol=fixed_rounds(3)
    )
    assert [one.name for one in folded.candidates] == ["b"]
    assert folded.unmeasured[0].reason.startswith("a BiLSTM is timed in eager alone, got runtime folded")
