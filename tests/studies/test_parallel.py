"""One trial on several processes: as one process trains it, whatever becomes of the processes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="starts processes as on Linux")

TINY = str(Path(__file__).parents[1] / "search" / "tiny_study.py")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def start(runs: Path, *words: str, processes: int = 2, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`studies.parallel` on the tiny ablation, with a checkpoint after every update."""
    command = [sys.executable, "-P", *(TORCHRUN if processes == 2 else ()), TINY, "parallel", "tiny", *words]
    command += ["--scale", "smoke", "--runs", str(runs), "--checkpoint-seconds", "0", "--silent-seconds", "60"]
    settings = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(command, env=settings, capture_output=True, text=True, timeout=200)


def found(runs: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The trial's file and weights."""
    from safetensors.torch import load_file

    (record,) = (runs / "tiny-smoke" / "trials").glob("*.json")
    (weights,) = (runs / "tiny-smoke" / "weights").glob("*.safetensors")
    return json.loads(record.read_text()), load_file(weights)


@pytest.mark.slow
def test_two_processes_one_of_them_killed_and_started_again_train_what_one_process_trains(tmp_path: Path) -> None:
    """Teacher, transfer, distillation and two tasks, on gloo; the second process is killed in the middle of transfer,
    after the 36 + 12 updates of the teacher and 7 of the student."""
    import torch

    arm = ("--arm", "transfer", "--seed", "0")
    killed = start(tmp_path / "two", *arm, DIE="1:55")
    assert killed.returncode != 0
    assert list((tmp_path / "two" / "tiny-smoke" / "checkpoints").glob("*.safetensors"))
    assert list((tmp_path / "two" / "teachers").glob("*/record.json"))
    assert not list((tmp_path / "two" / "tiny-smoke" / "trials").iterdir())
    again = start(tmp_path / "two", *arm)
    assert again.returncode == 0, again.stderr[-2000:]
    assert again.stdout.count("complete") == 2  # the teacher's was finished before
    alone = start(tmp_path / "one", *arm, processes=1)
    assert alone.returncode == 0, alone.stderr[-2000:]
    (two, its), (one, weights) = found(tmp_path / "two"), found(tmp_path / "one")
    assert (two["provenance"]["processes"], two["fingerprint"]) == (2, one["fingerprint"])
    assert "processes" not in one["provenance"]
    assert [point["stage"] for point in two["curves"]] == [point["stage"] for point in one["curves"]]
    losses = [[point["value"] for point in record["curves"]] for record in (two, one)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name, tensor in weights.items():
        torch.testing.assert_close(its[name], tensor, rtol=1e-4, atol=1e-5)
    assert not list((tmp_path / "two" / "tiny-smoke" / "checkpoints").iterdir())


def test_what_cannot_be_trained_is_one_line(tmp_path: Path) -> None:
    refused = start(tmp_path, "--arm", "nobody", "--seed", "0", processes=1)
    assert refused.returncode == 2
    line = "process 0: --arm must be one of bare, transfer and --seed one of 0, 1; got 'nobody' and 0\n"
    assert refused.stderr == line
