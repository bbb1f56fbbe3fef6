"""Multipliers of the learning rate as pure functions of the step; knows nothing of optimizers and models.

Steps count from 0, and every one of them trains: no schedule is 0 at its first step unless it is meant to be.
"""

import math


def constant(step: int) -> float:
    """1 at every step: knowledge transfer's base rate (google-research/mobilebert, end_lr_rate 1.0)."""
    return 1.0


def warmup_linear(step: int, total: int, warmup: int, end: float) -> float:
    """Linear ramp to 1 at step `warmup`, then a straight line that would reach `end` at step `total`.

    Deviation from google-research/bert: the ramp starts at 1 / (warmup + 1) instead of 0 and the decay starts where the
    ramp ends, so that no step is lost and the rate does not jump.

    Args:
        step: from 0 to total - 1.
        total: steps of the stage.
        warmup: steps of the ramp, from 0 to total.
        end: multiplier at the end, such as 1e-4 of the peak in the released command.

    Raises:
        ValueError: step outside [0, total) or warmup outside [0, total].

    Source: Devlin et al. 2019 (arXiv 1810.04805), section A.2: linear warm-up and linear decay.

    >>> [round(warmup_linear(step, 6, 2, 0.0), 3) for step in range(6)]
    [0.333, 0.667, 1.0, 0.75, 0.5, 0.25]
    """
    if not 0 <= step < total:
        raise ValueError(f"step must be from 0 to {total - 1}, got {step}")
    if not 0 <= warmup <= total:
        raise ValueError(f"warmup must be from 0 to the {total} steps of the stage, got {warmup}")
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 1.0 + (end - 1.0) * (step - warmup) / (total - warmup)


def warmup_polynomial(step: int, total: int, warmup: int, end: float, power: float) -> float:
    """Linear ramp to 1 at step `warmup`, then end + (1 - end) * (1 - x)^power, x running from 0 towards 1 at `total`.

    With power 1 it is `warmup_linear` but for rounding. Deviations from TensorFlow's polynomial_decay are those of
    `warmup_linear`.

    Args:
        step: from 0 to total - 1.
        total: steps of the stage.
        warmup: steps of the ramp, from 0 to total.
        end: multiplier at the end.
        power: above 0; above 1 falls fast first.

    Raises:
        ValueError: step outside [0, total), warmup outside [0, total], or a power that is not above 0.

    Source: google-research/mobilebert, optimization.py (tf.train.polynomial_decay).

    >>> [round(warmup_polynomial(step, 6, 2, 0.0, 2.0), 3) for step in range(6)]
    [0.333, 0.667, 1.0, 0.562, 0.25, 0.062]
    """
    if not power > 0:
        raise ValueError(f"power of the decay must be above 0, got {power!r}")
    straight = warmup_linear(step, total, warmup, 0.0)
    return straight if step < warmup else end + (1.0 - end) * straight**power


def pkt_multiplier(step: int, block: int, phase_steps: int) -> float:
    """Progressive knowledge transfer's multiplier for the parameters of one block; phase k teaches block k.

    0 before the block's phase, 3 b in it, 0.3 b afterwards. The background b is the same in every phase:
    b = min(0.9 + 0.1 * sqrt(1 - x), 10 x), x = steps of the phase so far, this one included, over `phase_steps`:
    a decay from 1.0 to 0.9 with power 0.5 under a ramp that reaches 1.0 after a tenth of the phase.
    What is no block (embeddings, heads) stands still: it is in no group.

    Deviation from the released code, which counts x without the current step, so that b is 0 at the first step of every
    phase; as it holds all moments at zero while a rate is 0, they start anew with every phase there.

    Args:
        step: of all phases together, from 0.
        block: which one, from 0 (the lowest).
        phase_steps: steps of one phase, the same for all.

    Raises:
        ValueError: a negative step or block, or a phase without steps.

    Source: Sun et al. 2020, MobileBERT (arXiv 2004.02984), progressive knowledge transfer; google-research/mobilebert,
    distill_util.py.

    >>> [round(pkt_multiplier(step, 0, 4), 3) for step in range(8)]
    [2.96, 2.912, 2.85, 2.7, 0.296, 0.291, 0.285, 0.27]
    >>> [round(pkt_multiplier(step, 1, 4), 3) for step in range(8)]
    [0.0, 0.0, 0.0, 0.0, 2.96, 2.912, 2.85, 2.7]
    """
    for name, value, least in (("step", step, 0), ("block", block, 0), ("phase_steps", phase_steps, 1)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    phase = step // phase_steps
    if phase < block:
        return 0.0
    done = (step % phase_steps + 1) / phase_steps
    background = min(0.9 + 0.1 * math.sqrt(1.0 - done), 10.0 * done)
    return (3.0 if phase == block else 0.3) * background
