"""What can be wrong with an input, said in one line, and what was left out on the way."""

from dataclasses import dataclass, field


class DataError(Exception):
    """A mistake in the input or the options; its message is one line for the user."""


def printable(path):
    """A path as one line of valid UTF-8, whatever bytes its name has."""
    text = str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def some(names, most=4):
    """The first few of `names`, and an ellipsis for more."""
    return ", ".join([*names[:most], *["\u2026"] * (len(names) > most)])


@dataclass
class Problems:
    """Bad documents end the program, or are counted where `skip` is set. A file's counts start anew at each reading."""

    skip: bool = False
    bad: dict = field(default_factory=dict)      # path: [count, first message]
    empty: dict = field(default_factory=dict)    # path: documents without text
    checked: dict = field(default_factory=dict)  # path: what is wrong with the file as a whole, or None

    def begin(self, path):
        self.bad.pop(path, None)
        self.empty.pop(path, None)

    def add(self, path, error):
        """Counts a bad document of `path`. Raises `error` (a DataError) unless bad ones are to be skipped."""
        if not self.skip:
            raise error
        self.bad.setdefault(path, [0, str(error)])[0] += 1

    def add_empty(self, path):
        self.empty[path] = self.empty.get(path, 0) + 1

    def counts(self):
        """How many documents (or whole files) were left out: dict of "bad" and "without_text", where there are some."""
        counts = {"bad": sum(count for count, _ in self.bad.values()), "without_text": sum(self.empty.values())}
        return {name: count for name, count in counts.items() if count}

    def lines(self):
        """What was left out: list of str."""
        messages, empty = [message for _, message in self.bad.values()], list(map(printable, self.empty))
        words = {"bad": f"bad skipped ({some(messages, 2)})", "without_text": f"without text left out (in {some(empty)})"}
        return [f"{count} {words[name]}" for name, count in self.counts().items()]
