"""A loss spike: the run that goes through it, averages through it, the undisturbed run, and a restart from before it."""
import interpreter  # noqa: F401
import pandas

import panels
import style


def draw(table):
    """Left: the whole spike; right: the same steps, closer. The restarted run is drawn from where its weights come from."""
    spec, phases = table.spec, panels.arms(table, "phase")
    through = max((_chain(spec, arm) for arm in phases), key=len)
    figure, [[whole, close]] = style.new(
        table, [(2.6, (1, 1.2), "")], "Averages through the spike still hold checkpoints from before it. The restarted run is drawn from "
        "the step that its weights come from.", keys=2)
    first, last = _begin(spec, through[-1]), spec.step(through[-1].keys["schedule.steps"])
    for axis in (whole, close):
        calm, spiked = [], []
        for arm, colour in zip([arm for arm in phases if arm not in through], (style.GREY, style.PALETTE[2])):
            chain = _chain(spec, arm)
            shift = _begin(spec, arm) if "average" in arm.start else 0
            calm.append(_draw(axis, table, chain, "plain", f"plain, {arm.label}", {"color": colour, "linewidth": 1.2}, shift))
        for average, label in {"plain": "plain, through the spike", **panels.averages(table)}.items():
            look = {**style.LOOKS[average], **({"color": style.INK} if average == "plain" else {})}
            spiked.append(_draw(axis, table, through, average, label, look))
        margin = (last - first) / 3
        axis.set_xlim(first - margin, last)
        axis.set_xlabel("optimizer step")
        shown = [mean[mean.index >= first - margin] for mean in (calm if axis is close else spiked)]
        style.frame(axis, shown + [mean[-1:] for mean in spiked], 1.2 if axis is close else 0.06)
    whole.set_title("Validation loss, nats/token")
    close.set_title("The same, closer")
    style.legend(figure, [whole], columns=3)
    return figure


def _chain(spec, arm):
    """The arms that one run consists of, the first one first: those that an arm goes on from, and itself."""
    return (_chain(spec, spec.arm("phase", arm.start["run"]["phase"])) if arm.start and "average" not in arm.start else []) + [arm]


def _begin(spec, arm):
    """The step of the run that an arm begins from."""
    at = arm.start.get("at", "end")
    return spec.step(spec.arm("phase", arm.start["run"]["phase"]).keys["schedule.steps"] if at == "end" else at)


def _draw(axis, table, chain, average, label, look, shift=0):
    """One model of a run that several arms make up, as one curve. Returns the mean over seeds [step]."""
    parts = [table.curves(average=average, phase=arm.name) for arm in chain if not table.select(average=average, phase=arm.name).empty]
    if not parts:
        return pandas.Series(dtype=float)
    curves = pandas.concat(parts, join="inner")
    curves.index += shift
    return panels.band(axis, table, curves, label, **look)
