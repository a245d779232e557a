"""paper_figures/README.md: every figure that has been run, with its claims, verdicts, scale and where it is from."""
import redraw
import spec as specs
from files import read_json, write_whole
from inference import signed
from spec import ROOT

HEAD = """# Figures

Made by `python3 analysis/run.py --all` from each folder's `data.csv`; `experiments/<figure>/figure.toml` says what was run and what was
claimed before it ran. Intervals are Student-t intervals of the mean over runs that differ in the seed; p values are corrected by Holm over
the claims of a figure that ask the same question. `runs/` holds every evaluation of every run.
"""


def write(root=ROOT):
    """Writes the gallery of root/paper_figures."""
    folder = root / "paper_figures"
    parts = [HEAD]
    for name in specs.figures(root):
        if (folder / name / "data.csv").exists():
            parts.append(section(name, folder / name))
    write_whole(folder / "README.md", "\n".join(parts))


def section(name, folder):
    """One figure: heading, picture, claims, provenance."""
    table, facts = redraw.read(name, folder), read_json(folder / "provenance.json")
    spec = table.spec
    what = f"The paper's {spec.paper}" if spec.paper else "Beyond the paper"
    lines = [f"## {name}: {spec.title}", "", f"{what}. {spec.subtitle}", "", f"![{spec.title}]({name}/figure.png)", ""]
    if table.verdicts:
        lines += ["| claim | verdict | difference, nats/token | interval | n | corrected p | rank test p |", "|---|---|---:|---:|---:|---:|---:|"]
        lines += [row(verdict) for verdict in table.verdicts] + [""]
    if spec.note:
        lines += [spec.note, ""]
    lines += [f"Scale {spec.scale}; {len(facts['runs'])} runs of git {', '.join(facts['git'])} on {', '.join(facts['devices'])}"
              + (f"; {facts['epochs']:g} epochs of the text" if facts.get("epochs") else "")
              + (f"; diverged: {', '.join(table.diverged)}" if table.diverged else "")
              + f". [data.csv]({name}/data.csv) · [timing.csv]({name}/timing.csv) · [verdicts.json]({name}/verdicts.json) · "
              f"[provenance.json]({name}/provenance.json) · [figure.toml](../experiments/{name}/figure.toml)", ""]
    return "\n".join(lines)


def row(verdict):
    """A claim's line in the table."""
    interval = f"[{signed(verdict.interval[0])}, {signed(verdict.interval[1])}]" if verdict.interval else "–"
    p, rank = (f"{value:.2g}" if value is not None else "–" for value in (verdict.p_holm, verdict.p_rank))
    paper = f"({verdict.paper}) " if verdict.paper else ""
    needed = f" ({verdict.runs_needed} runs would)" if verdict.runs_needed else ""
    return f"| {paper}{verdict.text} | {verdict.state}{needed} | {signed(verdict.mean)} | {interval} | {verdict.n} | {p} | {rank} |"
