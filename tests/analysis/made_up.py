"""A made-up table whose gains can be worked out by hand."""
import table as tables


def rows(seeds=(1,), steps=range(10, 101, 10), gain=None):
    """Two arms; plain losses fall linearly, LAWA (from the fifth checkpoint on) differs by gain(arm, seed, step)."""
    gain = gain or (lambda arm, seed, step: -0.03 if arm == "high" else -0.01)
    for arm, peak_lr in (("usual", 2e-3), ("high", 2e-2)):
        for seed in seeds:
            for step in steps:
                plain = round(3 - step / 100 + 0.1 * (arm == "high") + 0.01 * seed, 6)
                yield tables.Row(arm, peak_lr, seed, "plain", 1, 0, step, 2048 * step, plain, f"hash-{arm}-{seed}")
                if step >= 50 - 40 * (len(steps) > 20):
                    yield tables.Row(arm, peak_lr, seed, "lawa", 5, 10, step, 2048 * step,
                                     plain + gain(arm, seed, step), f"hash-{arm}-{seed}")
