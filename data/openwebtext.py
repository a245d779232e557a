"""OpenWebText with nanoGPT's split: 0.0005 of the documents, shuffled with seed 2357, are for validation.

Read through Hugging Face's `datasets`: from its cache or the network, or from .parquet and .jsonl files that were
downloaded before. With the same files in the same order the token files equal nanoGPT's.
"""

from inputs import suffix
from problems import DataError
from split import Split

NAMES = ("Skylion007/openwebtext", "openwebtext")
FRACTION, SEED = 0.0005, 2357
TABLES = {".jsonl", ".parquet"}   # files that are split like nanoGPT's


def load_table(datasets, files):
    """One table with a column "text" from local `files` (list of (name, Path)), or by name if there are none."""
    if files:
        kind = "parquet" if suffix(files[0][1]) == ".parquet" else "json"
        return datasets.load_dataset(kind, data_files=[str(path) for _, path in files], split="train")
    reasons = []
    for name in NAMES:
        try:
            return datasets.load_dataset(name, split="train")
        except Exception as error:  # datasets raises many kinds; all mean that this name can't be had here
            reasons.append(f"{type(error).__name__}: {error}".splitlines()[0][:160])
    raise DataError(f"OpenWebText is neither cached nor reachable ({reasons[0]}): download it elsewhere and give its "
                    "folder as INPUT")


def load(files, fraction, seed):
    """OpenWebText as a Split. `files` (list of (name, Path)) may be empty. Raises DataError if it can't be had."""
    try:
        import datasets
    except ImportError:
        raise DataError("--source openwebtext needs the package datasets: pip install datasets (in a virtual "
                        "environment); a folder with its texts as INPUT, without --source, needs nothing") from None
    table = load_table(datasets, files)
    if "text" not in table.column_names:
        raise DataError(f'the column "text" is missing, there are {table.column_names}')
    try:
        parts = table.train_test_split(test_size=fraction, seed=seed, shuffle=True)
    except ValueError as error:
        raise DataError(f"nothing is left after the split: {error}".splitlines()[0]) from None
    return Split(lambda: ([row["text"]] for row in parts["train"]), lambda: ([row["text"]] for row in parts["test"]))
