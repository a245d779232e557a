"""One look for all figures: quiet axes, colours that the colour-blind can tell apart, text that is readable in print.

Sizes in points, figure sizes in inches. Colour says which run, weight says which model: plain thin and pale, LAWA bold.
"""
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (after the backend is chosen)
import numpy as np  # noqa: E402

INK, GREY, RULE, SHADE = "#222222", "#6b6b6b", "#c9c9c9", "#f1f0ec"
RUN_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito's palette, in order of the arms
PLAIN_WIDTH, BOLD_WIDTH = 0.9, 2.0
WIDTH = 7.2  # a text page

SETTINGS = {
    "font.family": "DejaVu Sans", "font.size": 8, "text.color": INK,
    "axes.edgecolor": GREY, "axes.labelcolor": INK, "axes.linewidth": 0.6, "axes.labelsize": 8,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 8.5, "axes.titlelocation": "left",
    "axes.titlepad": 8, "axes.grid": True, "axes.grid.axis": "y", "axes.axisbelow": True,
    "grid.color": "#e6e6e6", "grid.linewidth": 0.6,
    "xtick.color": GREY, "ytick.color": GREY, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "xtick.labelsize": 7.5, "ytick.labelsize": 7.5, "xtick.major.width": 0.6, "ytick.major.width": 0,
    "xtick.major.size": 3, "ytick.major.size": 0,
    "legend.frameon": False, "legend.fontsize": 7.5, "lines.solid_capstyle": "round", "lines.solid_joinstyle": "round",
    "figure.dpi": 100, "savefig.dpi": 220, "pdf.fonttype": 42, "axes.unicode_minus": True, "svg.hashsalt": "lawa",
}


def new(height, ratios, title, subtitle):
    """(figure, axes): panels side by side under a heading; height in inches, ratios of the panels' widths."""
    plt.rcdefaults()
    plt.rcParams.update(SETTINGS)
    figure, axes = plt.subplots(1, len(ratios), figsize=(WIDTH, height), gridspec_kw={"width_ratios": ratios})
    figure.subplots_adjust(left=0.062, right=0.985, top=1 - 0.82 / height, bottom=0.78 / height, wspace=0.2)
    figure.text(0.012, 1 - 0.10 / height, title, fontsize=10.5, fontweight="bold", va="top")
    figure.text(0.012, 1 - 0.32 / height, subtitle, fontsize=8, color=GREY, va="top")
    return figure, np.atleast_1d(axes)


def footer(figure, text):
    """What a reader must know to trust the picture, small, at the bottom."""
    figure.text(0.012, 0.08 / figure.get_figheight(), text, fontsize=6.8, color=GREY, va="bottom", linespacing=1.45)


def pale(colour, amount=0.5):
    """The colour, mixed with white by `amount`."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    return tuple(rgb + (1 - rgb) * amount)


def band(axis, steps, curves, half_widths, colour, width, label=None):
    """The mean over seeds, and where there are several, the interval of the mean around it."""
    mean = curves.mean(axis=0)
    if half_widths is not None:
        axis.fill_between(steps, mean - half_widths, mean + half_widths, color=colour, alpha=0.18, linewidth=0)
    axis.plot(steps, mean, color=colour, linewidth=width, label=label)


def frame(axis, shown, room_above=0.06):
    """Limits of the y axis around what is to be seen; room_above: as a part of its height, for words."""
    low, high = min(values.min() for values in shown), max(values.max() for values in shown)
    height = max(high - low, 1e-9)
    axis.set_ylim(low - 0.06 * height, high + room_above * height)


def power(value):
    """A learning rate as mathematical text: 2e-3 becomes 2 x 10^-3."""
    mantissa, exponent = f"{value:e}".split("e")
    mantissa = f"{float(mantissa):g}"
    return rf"$10^{{{int(exponent)}}}$" if mantissa == "1" else rf"${mantissa}\times10^{{{int(exponent)}}}$"


def save(figure, stem):
    """Writes stem.png and stem.pdf; the same data give the same bytes (no dates inside). Returns the paths."""
    paths = [f"{stem}.png", f"{stem}.pdf"]
    figure.savefig(paths[0], metadata={"Software": None})
    figure.savefig(paths[1], metadata={"CreationDate": None, "Creator": "lawa", "Producer": None})
    plt.close(figure)
    return paths
