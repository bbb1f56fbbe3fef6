"""A table that a paper prints, as a value, to stand beside ours."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTable:
    """What the paper measured for the arms of a study.

    Raises ValueError for a row whose length is not that of the columns.
    """

    source: str
    """Such as `Sun et al. 2020, Table 8`."""
    columns: tuple[str, ...]
    """With their units or metrics, as printed: `SQuAD v1.1 F1`, `latency (ms)`."""
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]
    """By name of the arm, or of what the study does not train; None where the paper prints nothing."""
    note: str = ""
    """What a reader must know of these numbers."""

    def __post_init__(self) -> None:
        for name, values in self.rows:
            if len(values) != len(self.columns):
                raise ValueError(
                    f"{self.source}: a row must have {len(self.columns)} values, got {len(values)} for {name!r}"
                )
