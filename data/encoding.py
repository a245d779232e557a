"""Documents to token files: encoded in batches, end-of-text after each document."""

import numpy as np

from problems import DataError
from token_file import part_path, sha256, token_type, write_tokens

BATCH_CHARACTERS = 1 << 21


def token_arrays(documents, tokenizer, counts):
    """Yields integer arrays: each document's tokens, then end-of-text. Adds to `counts` ("documents", "bytes")."""
    end = np.array([tokenizer.end_of_text], np.dtype(token_type(tokenizer.vocabulary_size)))
    texts, characters = [], 0

    def encoded():
        arrays = iter(tokenizer.encode([text for text in texts if text is not None]))
        return np.concatenate([end if text is None else next(arrays) for text in texts])

    for document in documents:
        for piece in ["".join(document)] if tokenizer.whole else document:
            counts["bytes"] += len(piece) if piece.isascii() else len(piece.encode())
            characters += len(piece)
            texts.append(piece)
            if characters >= BATCH_CHARACTERS:
                yield encoded()
                texts, characters = [], 0
        texts.append(None)
        counts["documents"] += 1
    if texts:
        yield encoded()


def write_part(path, documents, tokenizer, layout):
    """Writes `path`.part; returns its counts (dict: documents, tokens, bytes of text, sha256 of the file)."""
    counts = {"documents": 0, "tokens": 0, "bytes": 0}
    arrays = token_arrays(documents, tokenizer, counts)
    counts["tokens"] = write_tokens(path, arrays, layout, token_type(tokenizer.vocabulary_size))
    if not counts["bytes"]:
        raise DataError(f"nothing is left for {path.name}: the text is too short for this validation fraction")
    counts["sha256"] = sha256(part_path(path))
    return counts
