"""Small files, read and written so that they are there as a whole or not at all."""
import contextlib
import fcntl
import json
import os
from pathlib import Path


@contextlib.contextmanager
def locked(path):
    """Keeps other processes out that ask for the same lock; waits for one that has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_whole(path, text):
    """Writes a text file that appears whole or not at all, and stays after a power cut."""
    part = Path(f"{path}.part")
    with open(part, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_json(path):
    """The object in a JSON file; {} where there is none. Errors name the file."""
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
