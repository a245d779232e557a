"""Every 4 KiB of a checkpoint flipped, turned over and cut off: no byte may pass. And the same to the newest checkpoint of a run that goes on."""
import random
import shutil
from collections import Counter
from pathlib import Path

from place import RUN, WRITES, Lost, Silent, check, ended_well, finish
from runner import lawa, weights

BLOCK = 4096
FLIPS = 8      # bits, a block
ORDER = 15     # of the blocks
NEWEST = 30    # with a state, and others before it
FILES = ("weights.h5", "state.h5", "json")


def blocks(path):
    return (path.stat().st_size + BLOCK - 1) // BLOCK


def damages(content, block, draw):
    """[(what, the bytes that it leaves)] of one block: single bits, all of its bytes, and the end there."""
    begin, end = block * BLOCK, min((block + 1) * BLOCK, len(content))
    found = []
    for _ in range(FLIPS):
        byte, bit = draw.randrange(begin, end), draw.randrange(8)
        found.append((f"bit {bit} of byte {byte}", content[:byte] + bytes([content[byte] ^ 1 << bit]) + content[byte + 1:]))
    found.append((f"bytes {begin} to {end}", content[:begin] + bytes(byte ^ 255 for byte in content[begin:end]) + content[end:]))
    found.append((f"cut at byte {begin}", content[:begin]))
    return found


def checkpoint(place):
    """A copy of a checkpoint's files, in the current folder."""
    for file in FILES:
        shutil.copy(place.whole() / "checkpoints" / f"step_{NEWEST:08d}.{file}", ".")
    return [Path(f"step_{NEWEST:08d}.{file}") for file in FILES]


def every_block(place, draw, writes, number):
    """A trial: ten damages to one block, each looked at by `lawa inspect`; trials go through the blocks of all files in a random order."""
    files = checkpoint(place)
    order = [(file, block) for file in files for block in range(blocks(file))]
    random.Random(ORDER).shuffle(order)
    file, block = order[number % len(order)]
    whole, found = file.read_bytes(), Counter()
    for what, content in damages(whole, block, draw):
        file.write_bytes(content)
        result = lawa("inspect", *files[:2], ranks=0)
        if result.code != 1 or len(result.errors) != 1 or f"step_{NEWEST:08d}" not in result.errors[0]:
            raise Silent(f"{file}, {what}: ended with {result.code}: {result.err}")
        found["detected"] += 1
    file.write_bytes(whole)
    ended_well(lawa("inspect", *files[:2], ranks=0))
    return found


def goes_on(place, draw, writes, _):
    """A run whose newest checkpoint is damaged says so, and goes on from the one before."""
    place.copy_until(NEWEST)
    path = Path(weights(NEWEST, RUN))
    file = draw.choice([path.with_name(f"step_{NEWEST:08d}.{ending}") for ending in FILES])
    content = file.read_bytes()
    file.write_bytes(draw.choice(damages(content, draw.randrange(blocks(file)), draw))[1])
    words = place.train("checkpoint.steps=1", "checkpoint.state_steps=1", "checkpoint.keep_states=1000", *WRITES[writes])
    result = ended_well(lawa(*words, ranks=2))
    if f"skipped the checkpoint of step {NEWEST}" not in result.err or f"going on from step {NEWEST - 1}" not in result.err:
        raise Lost(f"{file}: {result.err}")
    check(place.whole())
    finish(place, words)
    return Counter(detected=1)


def kinds():
    return {"4 KiB of a checkpoint damaged": (every_block, ("any",)), "the newest checkpoint damaged, and resumed": (goes_on, (*WRITES,))}
