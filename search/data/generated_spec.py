"""What the built-in generator is asked for, as a value. It knows nothing of how the language is made (generator.py) and
imports nothing, so that declaring data costs no start-up time."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorSpec:
    """One artificial corpus with its labelled tasks; equal specs give equal text on every machine.

    Raises:
        ValueError: a count is below one, or the label noise is outside [0, 0.5).
    """

    language_seed: int = 0
    num_documents: int = 4000
    num_train: int = 3000
    """Rows per task in the train split, before tokenization."""
    num_validation: int = 400
    num_test: int = 800
    label_noise: float = 0.03
    """Share of rows whose label is replaced by a wrong one, the same in all splits, in [0, 0.5)."""

    def __post_init__(self) -> None:
        for name in ("num_documents", "num_train", "num_validation", "num_test"):
            count = getattr(self, name)
            if count < 1:
                raise ValueError(f"{name} must be at least 1, got {count}: ask for one row or more")
        if not 0.0 <= self.label_noise < 0.5:
            raise ValueError(f"label_noise must be in [0, 0.5), got {self.label_noise}: use a share such as 0.03")
