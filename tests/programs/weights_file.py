"""Weights files as h5py and NumPy see them: their numbers, exact means of them, and damage."""
import h5py
import numpy as np


def read(path):
    with h5py.File(path) as file:
        return file["weights"][()]


def exact(values):
    """float32 numbers as Python's integers, in units of their smallest one, 2^-149."""
    return np.array([int(value) for value in np.ldexp(values.astype(np.float64), 149)], object)


def assert_rounded_once(mean, members):
    """No float32 number is nearer to the members' exact mean."""
    total, count = sum(map(exact, members)), len(members)
    error = abs(count * exact(mean) - total)
    for direction in (-np.inf, np.inf):
        other = np.nextafter(mean, np.float32(direction))
        assert (error <= abs(count * exact(other) - total)).all()


def flip(find):
    """Damage: one bit of the byte that `find` points to."""
    def damage(path):
        content = bytearray(path.read_bytes())
        content[find(path)] ^= 4
        path.write_bytes(content)
    return damage


def in_a_weight(path):
    """A byte of h.1.mlp.c_fc.weight."""
    with h5py.File(path) as file:
        return file["weights"].id.get_offset() + 4 * 27000 + 2


def put(path, at, number, library):
    """One of its weights, or a slice of a block, becomes this number, as a run might have written it: its block's checksum is made again
    (library: runner.xxhash)."""
    block = (at.start if isinstance(at, slice) else at) // 4096
    path.with_name(path.name.replace(".weights.h5", ".json")).unlink()
    with h5py.File(path, "r+") as file:
        values = file["weights"][()]
        values[at] = number
        file["weights"][...] = values
        part = values[4096 * block:4096 * (block + 1)].tobytes()
        file["checksums/weights"][block] = library.XXH3_64bits(part, len(part))
