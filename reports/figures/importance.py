"""How much each knob decided, for accuracy and for latency, beside what chance would give."""

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import BLACK, BLUE, VERMILION, despine, drawn_on, new_figure, shown, styled
from reports.importance import Importance, KnobImportance, run_importance
from reports.naming import field_label
from reports.source import Source, chosen, given_run


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportanceInfo:
    """The objectives that can be drawn; those with too few trials are left out and stay a sentence."""

    objectives: tuple[Importance, ...]


def importance_info(results: list[Importance]) -> ImportanceInfo:
    """Keep the results that have bars."""
    return ImportanceInfo(objectives=tuple(result for result in results if result.knobs))


def draw_importance(info: ImportanceInfo, *, narrow: bool = False, identity: str = "importance") -> Figure:
    """One panel of bars per objective, the longest on top; a mark shows what shuffled results reach."""
    count = max(1, len(info.objectives))
    longest = max((len(result.knobs) for result in info.objectives), default=1)
    height = 0.34 * longest + 0.9
    with styled(identity):
        figure = new_figure(height * (count if narrow else 1) + 0.35, narrow=narrow)
        for index, result in enumerate(info.objectives):
            shape = (count, 1) if narrow else (1, count)
            _draw_panel(figure.add_subplot(*shape, index + 1), result)
        handles, labels = figure.axes[0].get_legend_handles_labels() if figure.axes else ([], [])
        figure.legend(handles, labels, loc="outside lower left", ncols=1 if narrow else 2)
    return figure


def plot_importance(run: Source, *, objective: str = "accuracy", ax: Axes | None = None) -> Axes:
    """Bars of one objective, beside what shuffled results reach.

    Args:
        run: the path of a run folder, a Run, or a frame of `reports.table.knobs`.
        objective: `accuracy` or `latency`.
        ax: where to draw; a new figure where left out.

    Raises:
        ValueError: no such objective, or too few trials to say anything.
    """
    found = _from_frame(run) if isinstance(run, pd.DataFrame) else run_importance(given_run(run))
    result = chosen({one.objective: one for one in found}, objective, "objective")
    if not result.knobs:
        raise ValueError(f"bars need knobs that were varied in enough trials, got {result.reason}")
    with drawn_on(ax, 0.34 * len(result.knobs) + 1.5) as axes:
        _draw_panel(axes, result)
        axes.legend(loc="upper left", bbox_to_anchor=(0.0, -0.2))
    return axes


def _from_frame(frame: pd.DataFrame) -> list[Importance]:
    return [
        Importance(
            objective=str(objective),
            num_trials=int(rows["num_trials"].iloc[0]),
            knobs=tuple(
                KnobImportance(knob=str(knob), divergence=float(divergence), share=float(share), chance=float(chance))
                for knob, divergence, share, chance in zip(
                    rows["knob"], rows["divergence"], rows["share"], rows["chance"], strict=True
                )
            ),
            reason="",
        )
        for objective, rows in frame.groupby("objective", sort=False)
    ]


def _draw_panel(axes: Axes, result: Importance) -> None:
    import seaborn

    names = [shown(field_label(knob.knob), 24) for knob in result.knobs]
    colour = BLUE if result.objective == "accuracy" else VERMILION
    lengths = [knob.divergence for knob in result.knobs]
    seaborn.barplot(x=lengths, y=names, color=colour, ax=axes, height=0.62, saturation=1)
    chances = [knob.chance for knob in result.knobs]
    label = "reached when results are shuffled: a shorter bar says nothing"
    axes.scatter(chances, range(len(names)), marker="|", s=190, color=BLACK, linewidths=2, zorder=4, label=label)
    axes.set_xlim(0, 1.06 * max(*lengths, *chances, 1e-9))
    axes.set_xlabel("PED-ANOVA divergence")
    axes.set_ylabel("")
    axes.set_title(f"{shown(result.objective)} ({result.num_trials} trials)")
    despine(axes)
