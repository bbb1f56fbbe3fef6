"""The grid over which the paper fine-tunes, as a value that a study can iterate (Sun et al. 2020, section 4)."""

import itertools
from dataclasses import dataclass, replace

from search.recipe import FineTuning


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuningGrid:
    """Batch sizes, learning rates and epochs that are all tried, for every task alike; the defaults are the paper's."""

    batch_sizes: tuple[int, ...] = (16, 32, 48)
    learning_rates: tuple[float, ...] = tuple(number * 1e-5 for number in range(1, 11))
    epochs: tuple[int, ...] = tuple(range(2, 11))

    def settings(self, base: FineTuning, num_rows: int) -> tuple[FineTuning, ...]:
        """Every point of the grid as a fine-tuning of a task with `num_rows` training rows.

        Args:
            base: gives what the grid leaves open.
            num_rows: of the task's train split.

        Steps are rounded up: the last epoch's last batch runs into the next epoch.

        >>> from search.recipe import Optimizer
        >>> base = FineTuning(steps=1, batch_size=1, optimizer=Optimizer(learning_rate=1.0))
        >>> points = FineTuningGrid().settings(base, num_rows=2500)
        >>> len(points), points[0].steps, points[-1].steps
        (270, 313, 521)
        """
        if num_rows < 1:
            raise ValueError(f"num_rows must be at least 1, got {num_rows!r}")
        points = itertools.product(self.batch_sizes, self.learning_rates, self.epochs)
        return tuple(
            replace(
                base,
                steps=-(-epochs * num_rows // batch_size),
                batch_size=batch_size,
                optimizer=replace(base.optimizer, learning_rate=rate),
            )
            for batch_size, rate, epochs in points
        )
