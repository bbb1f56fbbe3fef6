"""The peak memory of one forward pass, each encoder in a process of its own so that none hides another's."""

import multiprocessing
from collections.abc import Mapping
from multiprocessing.connection import Connection

from model_zoo.student import Student
from search.latency.case import LatencyCase

_WAIT_SECONDS = 300.0


def peak_memory(configs: Mapping[str, Student], case: LatencyCase) -> dict[str, int]:
    """Bytes by name: the most memory of a process that only builds an encoder and runs it, interpreter and torch
    included; on a GPU, the most that torch allocated there. A name is missing where the system or the process did not
    say."""
    found: dict[str, int] = {}
    context = multiprocessing.get_context("spawn")
    for name, config in configs.items():
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_tell, args=(config, case, theirs), daemon=True)
        process.start()
        theirs.close()
        try:
            if ours.poll(_WAIT_SECONDS) and (peak := ours.recv()) is not None:
                found[name] = int(peak)
        except EOFError:  # the process died: there was no room for it
            pass
        finally:
            process.kill()
            process.join()
            ours.close()
    return found


def _tell(config: Student, case: LatencyCase, channel: Connection) -> None:
    import torch

    from search.latency.measure import peak_memory_bytes
    from search.latency.runtimes import forward

    torch.set_num_threads(case.threads)
    with torch.inference_mode():
        forward(config, case, seed=0)()
    channel.send(peak_memory_bytes() if case.device == "cpu" else torch.cuda.max_memory_allocated(case.device))
