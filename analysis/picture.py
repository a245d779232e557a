"""The picture of any runs: training loss, the learning rate below it, and validation loss of plain weights and averages.

With one run colour says which model, with several it says which run and the dashes say which average.
"""
import metrics
import numpy as np
import style
from matplotlib import cm, ticker
from matplotlib.lines import Line2D

VIEW_FROM = 0.2  # part of each run from which on the axes are fitted to its losses
MOST_NAMES = 10  # models in the legend; of more, the lowest ones


def of_runs(runs):
    """The figure of some metrics.Run."""
    heading = runs[0].name if len(runs) == 1 else f"{len(runs)} runs"
    columns = max(1, 110 // (max(len(run.name) for run in runs) + 8))
    room = 0.17 * -(-len(runs) // columns) if len(runs) > 1 else 0  # inches, for the runs' names
    height = 4.2 + room
    figure = style.page(height, literal(heading), [literal(lowest(runs))])
    training, validation = figure.subplots(1, 2, gridspec_kw={"width_ratios": (1, 1.2)})
    figure.subplots_adjust(left=0.062, right=0.965, top=1 - (0.82 + room) / height, bottom=0.78 / height, wspace=0.2)
    rows = training.get_subplotspec().subgridspec(2, 1, height_ratios=(3.6, 1), hspace=0.32)
    training.set_subplotspec(rows[0])
    rate = figure.add_subplot(rows[1])
    draw_training(training, rate, runs)
    draw_validation(validation, runs)
    if len(runs) > 1:
        figure.legend(handles=training.get_lines()[1::2], loc="upper left", bbox_to_anchor=(0.002, 1 - 0.47 / height), ncol=columns,
                      handlelength=1.6, columnspacing=1.6, labelspacing=0.3)
    for axis in (training, rate, validation):
        axis.set_xlim(0, max(run.training["step"].max(initial=1) for run in runs))
        axis.xaxis.set_major_locator(ticker.MaxNLocator(5, integer=True))
        axis.xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
        axis.set_xlabel("" if axis is training else "optimizer step")
    training.tick_params(labelbottom=False)
    style.small(figure, 0.012, 0.34, "Training: pale, every step's batch; bold, the mean over 2 % of the steps around it, fewer at the beginning.\n"
                f"The axes of the losses are fitted to each run from {100 * VIEW_FROM:g} % of its steps on.")
    return figure


def draw_training(axis, rate, runs):
    """Each step's loss, pale, and its running mean; in the axes `rate` the learning rate."""
    shown = []
    for run, colour in zip(runs, colours(len(runs))):
        curve, smoothed = run.training, metrics.smooth(run.training["loss"])
        axis.plot(curve["step"], curve["loss"], color=colour, alpha=0.25, linewidth=0.5, zorder=1)
        axis.plot(curve["step"], smoothed, color=colour, linewidth=1.4, label=literal(run.name))
        rate.plot(curve["step"], curve["lr"], color=colour, linewidth=1.2)
        shown.append(in_view(curve, np.minimum(curve["loss"], smoothed)))
    fit(axis, shown)
    axis.set_title("Training loss, nats/token")
    peak = max(np.nan_to_num(run.training["lr"]).max(initial=0) for run in runs)
    rate.set_title(f"Learning rate, at most {peak:.3g}")
    rate.set_yticks([0, peak], ["0", ""])


def draw_validation(axis, runs):
    """A curve for each model of each run. The legend has the models; with a single run their newest losses too."""
    models = named_models(runs)
    tints = colours(len(runs)) if len(runs) > 1 else [style.UNORDERED[0], *colours(len(models))[1:]]
    few = max(len(curve["step"]) for run in runs for curve in run.validation.values()) <= 25
    shown, handles = [], {}
    for r, run in enumerate(runs):
        for model, curve in run.validation.items():
            if model not in models:
                axis.plot(curve["step"], curve["loss"], color=style.RULE, linewidth=0.6, zorder=1)
                handles[len(models)] = Line2D([], [], color=style.RULE, linewidth=0.6, label="the other averages")
                continue
            m = models.index(model)
            look = (dict(linewidth=style.PLAIN_WIDTH, alpha=0.75, zorder=3) if m == 0 else
                    dict(linewidth=1.7, linestyle=dashes(m - 1) if len(runs) > 1 else "-"))
            axis.plot(curve["step"], curve["loss"], color=tints[r if len(runs) > 1 else m],
                      marker="o" if few or len(curve["step"]) == 1 else "", markersize=2.4, **look)
            shown.append(in_view(curve, curve["loss"]))
            handles[m] = Line2D([], [], color=style.GREY if len(runs) > 1 else tints[m], **look,
                                label=literal(model) + (f"  {curve['loss'][-1]:.4f}" if len(runs) == 1 else ""))
    fit(axis, shown)
    axis.set_title("Validation loss, nats/token")
    axis.legend(handles=[handles[m] for m in sorted(handles)], loc="upper right", handlelength=2.6, borderaxespad=0.2,
                fontsize=7.5 if len(handles) <= 6 else 6, frameon=True, framealpha=0.8, edgecolor="none")


def named_models(runs):
    """Plain, and the averages in their order, or where there are many those whose newest losses are lowest."""
    newest = {}
    for run in runs:
        for model, curve in run.validation.items():
            newest[model] = min(newest.get(model, np.inf), np.nan_to_num(curve["loss"][-1], nan=np.inf))
    averages = [model for model in newest if model != "plain"]
    if len(averages) >= MOST_NAMES:
        averages = sorted(averages, key=newest.get)[:MOST_NAMES - 1]
    return ["plain", *averages]


def lowest(runs):
    """The lowest validation loss of all, in words."""
    points = [(loss, step, model, run.name) for run in runs for model, curve in run.validation.items()
              for step, loss in zip(curve["step"], curve["loss"]) if np.isfinite(loss)]
    if not points:
        return "No validation loss is a number"
    loss, step, model, name = min(points)
    return f"Lowest validation loss {loss:.4f}: {f'{name}, ' if len(runs) > 1 else ''}{model}, step {int(step):,}"


def colours(n):
    """n colours that can be told apart; from dark to light where that is more than the style has."""
    return style.UNORDERED[:n] if n <= len(style.UNORDERED) else [cm.viridis(0.92 * i / (n - 1)) for i in range(n)]


def dashes(i):
    """The i-th line style of any number: a line; dashes; dashes with one dot, with two, and so on."""
    return "-" if i == 0 else (0, (3.2, 1.4) + (0.6, 1.4) * (i - 1))


def in_view(curve, losses):
    """The finite ones of a curve's losses from VIEW_FROM on."""
    return losses[np.isfinite(losses) & (curve["step"] >= VIEW_FROM * curve["step"].max(initial=0))]


def fit(axis, shown):
    """The y axis around all losses in view."""
    shown = np.concatenate(shown)
    if len(shown):
        style.frame(axis, [shown])


def literal(words):
    """Words as they are: a dollar sign would begin a formula."""
    return words.replace("$", r"\$")
