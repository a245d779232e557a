"""One look for all figures: quiet axes, colours that the colour-blind can tell apart, text that is readable in print.

Sizes of text in points, of figures in inches. Where a panel compares runs, colour says which run, and weight which model: plain thin,
averages bold. Where it compares averages of the same runs, colour says which average.
"""
import textwrap

import interpreter  # noqa: F401
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (after the backend is chosen)
import numpy as np  # noqa: E402

from inference import signed  # noqa: E402

INK, GREY, RULE, SHADE, RED = "#222222", "#6b6b6b", "#c9c9c9", "#f1f0ec", "#c1121f"
PALETTE = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00")  # Okabe and Ito's, from cool to warm
UNORDERED = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")   # the same, neighbours far apart
VIOLET = "#8e5ba6"                             # a model that was picked
PLAIN_WIDTH, BOLD_WIDTH = 0.9, 1.8
LOOKS = {   # of averages of the same runs, by the figures' names for them
    "plain": {"color": "#8a8a8a", "linewidth": PLAIN_WIDTH},
    "lawa": {"color": PALETTE[0], "linewidth": BOLD_WIDTH},
    "lawa wide": {"color": PALETTE[1], "linewidth": 1.4},
    "ema": {"color": PALETTE[4], "linewidth": 1.4},
    "ema matched": {"color": PALETTE[3], "linewidth": 1.4},
    "swa early": {"color": PALETTE[2], "linewidth": 1.4, "linestyle": (0, (4, 1.5))},
    "swa late": {"color": PALETTE[2], "linewidth": 1.4},
}
WIDTH = 7.2                                    # a text page
LEFT, RIGHT, COLUMN_GAP, ROW_GAP, HEADING = 0.5, 0.17, 0.56, 0.66, 0.22   # around and between panels
LINE, KEY_LINE = 0.137, 0.17                   # of small text, of the legend
DIVERGING = matplotlib.colors.LinearSegmentedColormap.from_list("gain", (PALETTE[0], "#ffffff", PALETTE[4]))
LETTERS = 138                                  # of small text on a line

SETTINGS = {
    "font.family": "DejaVu Sans", "font.size": 8, "text.color": INK,
    "axes.edgecolor": GREY, "axes.labelcolor": INK, "axes.linewidth": 0.6, "axes.labelsize": 8,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 8.5, "axes.titlelocation": "left",
    "axes.titlepad": 7, "axes.grid": True, "axes.grid.axis": "y", "axes.axisbelow": True,
    "grid.color": "#e6e6e6", "grid.linewidth": 0.6,
    "xtick.color": GREY, "ytick.color": GREY, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "xtick.labelsize": 7.5, "ytick.labelsize": 7.5, "xtick.major.width": 0.6, "ytick.major.width": 0,
    "xtick.major.size": 3, "ytick.major.size": 0, "xtick.minor.size": 1.5, "xtick.minor.width": 0.5,
    "legend.frameon": False, "legend.fontsize": 7.5, "lines.solid_capstyle": "round", "lines.solid_joinstyle": "round",
    "figure.dpi": 100, "savefig.dpi": 220, "pdf.fonttype": 42, "axes.unicode_minus": True, "svg.hashsalt": "lawa",
}


def page(height, title, subtitle):
    """An empty figure of a page's width with its heading; height in inches, the subtitle's lines in a list."""
    plt.rcdefaults()
    plt.rcParams.update(SETTINGS)
    figure = plt.figure(figsize=(WIDTH, height))
    figure.text(0.012, 1 - 0.10 / height, title, fontsize=10.5, fontweight="bold", va="top")
    figure.text(0.012, 1 - 0.33 / height, "\n".join(subtitle), fontsize=8, color=GREY, va="top", linespacing=1.35)
    return figure


def new(table, rows, foot, keys=1):
    """(figure, axes): rows of panels between heading and footer.

    rows: [(height of the panels in inches, ratios of their widths, heading of the row: "" for none)]; axes: a list for each row.
    foot: what a reader must know to trust the picture. keys: lines of the legend, which goes to legend().
    """
    subtitle = textwrap.wrap(table.spec.subtitle, 112)
    notes = textwrap.wrap(f"{foot} {intervals(table)}", LETTERS)
    above = 0.36 + 0.15 * len(subtitle) + KEY_LINE * keys + 0.34
    below = 0.48 + claims_height(table) + LINE * len(notes) + 0.28
    height = above + sum(tall + HEADING * bool(heading) for tall, _, heading in rows) + ROW_GAP * (len(rows) - 1) + below
    figure = page(height, table.spec.title, subtitle)
    figure.keys_at = 1 - (0.36 + 0.15 * len(subtitle)) / height
    axes, top = [], height - above
    for tall, ratios, heading in rows:
        if heading:
            figure.text(0.012, (top + 0.10) / height, heading, fontsize=8.5, fontweight="bold", va="center")
            top -= HEADING
        widths = np.array(ratios) / sum(ratios) * (WIDTH - LEFT - RIGHT - COLUMN_GAP * (len(ratios) - 1))
        lefts = LEFT + np.cumsum([0, *(widths[:-1] + COLUMN_GAP)])
        axes.append([figure.add_axes((left / WIDTH, (top - tall) / height, width / WIDTH, tall / height))
                     for left, width in zip(lefts, widths)])
        top -= tall + ROW_GAP
    small(figure, 0.012, LINE * len(notes) + 0.22, "\n".join(notes))
    write_claims(figure, table, LINE * len(notes) + 0.22)
    return figure, axes


def small(figure, x, inches, text, **options):
    """Small text whose upper edge is that many inches above the figure's lower edge."""
    figure.text(x, inches / figure.get_figheight(), text, **{"fontsize": 6.8, "color": GREY, "va": "top", "linespacing": 1.42, **options})


def intervals(table):
    """What bands and bars are."""
    if seeds(table)[1] < 2:
        return "One seed: there are no intervals."
    return f"Bands and bars: {100 * table.spec.confidence:g} % Student-t intervals over seeds."


def seeds(table):
    """(fewest, most) seeds of the runs that are there."""
    others = [axis for axis in table.spec.axes if axis != "seed"]
    counts = table.data.groupby(others)["seed"].nunique() if others else [table.data["seed"].nunique()]
    return min(counts), max(counts)


def claims_height(table):
    """Inches that the verdicts take."""
    return LINE * (len(table.verdicts) + 1) + 0.14 if table.verdicts else 0


def write_claims(figure, table, above):
    """A line for each claim, over the footer: verdict, text, difference with half of its interval."""
    if not table.verdicts:
        return
    top = above + claims_height(table) - 0.04
    height = figure.get_figheight()
    figure.add_artist(plt.Line2D((0.012, 0.988), ((top + 0.05) / height,) * 2, color=RULE, linewidth=0.6))
    for x, words, side in ((0.125, "claims, as they stood before the runs", "left"), (0.988, "difference, nats/token", "right")):
        small(figure, x, top, words, ha=side, fontstyle="italic")
    for row, verdict in enumerate(table.verdicts, 1):
        inches = top - LINE * row
        colour = {"holds": PALETTE[2], "contradicted": RED}.get(verdict.state, GREY)
        number = signed(verdict.mean) + (f" ± {(verdict.interval[1] - verdict.interval[0]) / 2:.4f}" if verdict.interval else "")
        small(figure, 0.012, inches, verdict.state, color=colour, fontweight="bold")
        small(figure, 0.125, inches, verdict.text, color=INK)
        small(figure, 0.988, inches, number, color=INK, ha="right")


def mark(figure, table):
    """At the lower edge: scale and seeds, the runs that diverged, and in red that some are missing."""
    fewest, most = seeds(table)
    n = f"n = {most} seed{'s' if most > 1 else ''}" if fewest == most else f"n = {fewest} to {most} seeds"
    small(figure, 0.988, 0.19, f"{table.spec.scale} scale, {n}", ha="right")
    if table.missing:
        count = len(table.missing)
        small(figure, 0.71, 0.2, f"PARTIAL: {count} run{'s' if count > 1 else ''} missing", ha="right", color=RED, fontweight="bold",
               fontsize=8)
    if table.diverged:
        names = "; ".join(name.replace(f"{table.spec.name} ", "") for name in table.diverged)
        small(figure, 0.012, 0.19, textwrap.shorten(f"diverged: {names}", 58, placeholder=" …"), color=RED)


def legend(figure, axes, columns, first=()):
    """One legend for all panels, under the heading; each label once. first: further handles, before the others."""
    handles = {handle.get_label(): handle for handle in first}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels()):
            handles.setdefault(label, handle)
    figure.legend(handles.values(), handles.keys(), loc="upper left", bbox_to_anchor=(0.006, figure.keys_at), ncol=columns,
                  handlelength=1.7, columnspacing=1.6, handletextpad=0.6, labelspacing=0.35, borderpad=0, borderaxespad=0.3)


def shades(count):
    """Colours for the places on an axis with an order, from cool to warm."""
    palette = PALETTE if count <= len(PALETTE) else ("#3f2d7a", *PALETTE)
    if count > len(palette):
        return [matplotlib.colors.to_hex(colour) for colour in matplotlib.colormaps["turbo"](np.linspace(0.05, 0.95, count))]
    return [palette[place] for place in np.linspace(0, len(palette) - 1, count).round().astype(int)] if count > 1 else [palette[0]]


def greys(count):
    """Greys for the places in an order, the last one darkest."""
    return [str(value) for value in np.linspace(0.72, 0.1, count)] if count > 1 else [INK]


def inside(axis, place="best"):
    """A legend in a panel that has room for it."""
    axis.legend(loc=place, handlelength=1.4, borderaxespad=0.2, labelspacing=0.35)


def pale(colour, amount=0.5):
    """The colour, mixed with white by `amount`."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    return tuple(rgb + (1 - rgb) * amount)


def frame(axis, shown, room_above=0.06):
    """Limits of the y axis around what is to be seen; room_above: as a part of its height, for words."""
    shown = [values for values in shown if len(values)]
    if not shown:
        return
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
