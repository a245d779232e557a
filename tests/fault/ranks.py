"""A run that is killed on N ranks goes on with M."""
import math
from collections import Counter

from kills import lines, wait_for_a_moment
from place import EVERY_STEP, RUN, WRITES, Lost, Silent, check, ended_well, finish
from runner import digests, end, kill, lawa, metrics, numbers, session, start

COUNTS = (1, 2, 3, 4, 7, 8)
CLOSE = 1e-4   # of a loss; sums over other parts are rounded otherwise, and 40 steps at a rate of 0.01 let that grow


def pairs():
    return [(n, m) for n in COUNTS for m in COUNTS]


def other_ranks(place, draw, writes, number):
    """Up to the checkpoint all bits are those of the N ranks' run; behind it the losses are where M differs only rounded otherwise."""
    before, after = pairs()[number % len(pairs())]
    words = place.train(*EVERY_STEP, *WRITES[writes])
    process = start(*words, ranks=before)
    try:
        wait_for_a_moment(process, draw, lines, place.seconds()[0])
        kill(session(process.pid))
    finally:
        end(process)
    check(place.whole(before))
    if before == after:
        finish(place, words, place.whole(before), ranks=before)
        return Counter(survived=1)
    ended_well(lawa(*words, ranks=after, timeout=120))
    step = max((line["step"] for line in metrics(RUN) if line["kind"] == "resume"), default=0)
    compare(numbers(RUN), numbers(place.whole(before if step else after)), step)
    mine, theirs = digests(RUN), digests(place.whole(before))
    if any(mine[one] != theirs[one] for one in mine if one <= step):
        raise Silent(f"{before} to {after} ranks at step {step}: other weights")
    return Counter(survived=1)


def compare(mine, whole, step):
    if [(line["kind"], line["step"]) for line in mine] != [(line["kind"], line["step"]) for line in whole]:
        raise Lost("lines are missing from metrics.jsonl")
    for one, other in zip(mine, whole):
        same = one == other if one["step"] <= step else math.isclose(one["loss"], other["loss"], rel_tol=CLOSE)
        if not same:
            raise Silent(f"went on from step {step}: {one} where the undisturbed run has {other}")


def kinds():
    return {"killed on N ranks, resumed on M": (other_ranks, (*WRITES,))}
