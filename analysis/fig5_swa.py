"""LAWA against SWA from early and from late on; and late SWA with the smaller batch of the released script."""
import panels
import style


def draw(table):
    """Left: gains over steps, with the same batch; right: losses over tokens, of each batch."""
    batches = panels.arms(table, "batch")
    figure, [[gains, losses]] = style.new(table, [(2.4, (1, 1), "")], f"{panels.recipe(table, 'lawa')} Gains: with {batches[0].label}.",
                                          keys=3)
    differences = [panels.gain(gains, table, label, look=style.LOOKS[average], average=average, batch=batches[0].name)
                   for average, label in panels.averages(table).items()]
    panels.over_steps(gains, table, "Gain on plain, nats/token", differences, zero=True)
    shown = []
    for arm, colour in zip(batches, (style.INK, style.VIOLET)):
        millions = panels.tokens_a_step(table, batch=arm.name) / 1e6
        for average, look in panels.weights(colour, "swa late").items():
            label = f"{arm.label}: {panels.word(average)}"
            shown.append(panels.loss(losses, table, label, look, millions, average=average, batch=arm.name))
    shown += panels.published(losses, table, panels.tokens_a_step(table, batch=batches[0].name) / 1e6)
    style.frame(losses, [mean[mean.index >= table.spec.view_from * table.spec.steps] for mean in shown])
    losses.set_xlim(0, table.data["trained_tokens"].max() / 1e6)
    losses.set_xlabel("million tokens")
    losses.set_title("Validation loss, nats/token")
    style.legend(figure, [gains, losses], columns=3)
    return figure
