"""What a disk would hold after a power cut at any moment: from the order of writes, renames and fsyncs of all ranks (faults.tracing)."""
import re
from collections import Counter, defaultdict
from pathlib import PurePath


class Disk:
    """Replays calls. What was written is whole once a fsync that began later has ended, on each node that has written; a new name is there
    once its folder was synced behind the rename. `node_of` gives a rank's node. Files are known by their names without .part."""

    def __init__(self, node_of=lambda rank: 0):
        self.node_of = node_of
        self.written = defaultdict(dict)   # file: {node: the number of the last write}
        self.named = {}                    # file: the number of its last rename
        self.begun = {}                    # file: the number of its first write
        self.lines = []                    # of metrics.jsonl: the numbers of the writes that aren't durable
        self.syncs = {}                    # thread: what it syncs, and when that began
        self.commits = Counter()           # record: how often it was written
        self.broken = []                   # what a power cut at some moment would have spoilt
        self.now = 0

    def replay(self, calls):
        for self.now, call in enumerate(calls):
            getattr(self, call.call)(call, call.path)
        return self

    def write(self, call, path):
        self.written[path][self.node_of(call.rank)] = self.now
        self.begun.setdefault(path.removesuffix(".part"), self.now)
        if path.endswith("/metrics.jsonl"):
            self.lines.append(self.now)

    def fsync(self, call, path):
        self.syncs[call.thread] = path, self.now

    def fsynced(self, call, _):
        (path, began), node = self.syncs.pop(call.thread), self.node_of(call.rank)
        if self.written[path].get(node, began) < began:
            del self.written[path][node]
        if path.endswith("/metrics.jsonl"):
            self.lines = [line for line in self.lines if line > began]
        self.named = {file: when for file, when in self.named.items() if when > began or str(PurePath(file).parent) != path}

    def rename(self, _, path):
        self.written[path] = self.written.pop(path + ".part", {})
        self.expect_data(path, f"{path} got its name")
        if path.endswith(".json") and PurePath(path).name.startswith("step_"):
            self.commit(path)
        self.named[path] = self.now

    def commit(self, record):
        """What a commit record speaks of was there before, and so were the run's lines from before the save began."""
        for ending in (".weights.h5", ".state.h5"):
            self.expect_file(record.removesuffix(".json") + ending, f"{record} was committed")
        self.commits[record] += 1
        if PurePath(record).parent.name == "checkpoints":
            if any(line < self.begun[record.removesuffix(".json") + ".weights.h5"] for line in self.lines):
                self.broken.append(f"lines of metrics.jsonl were not durable when {record} was committed")

    def unlink(self, _, path):
        """What goes isn't the newest: the records that have come since are there to stay. And no record names it any more."""
        file, record = PurePath(path), re.sub(r"\.(weights|state)\.h5$", ".json", path)
        if not file.name.startswith("step_") or path.endswith(".part"):
            return
        if path == record:
            self.commits.pop(path, None)
        elif self.commits[record] == 1 or (self.commits[record] and path.endswith(".weights.h5")):   # its second one has no state any more
            self.broken.append(f"{path} was removed, and {record} named it")
        for record in [name for name in self.named if name.endswith(".json") and PurePath(name).parent == file.parent]:
            self.expect_file(record, f"{path} was removed")

    def expect_file(self, path, when):
        self.expect_data(path, when)
        if path in self.named:
            self.broken.append(f"the name of {path} was not durable when {when}")

    def expect_data(self, path, when):
        if self.written[path]:
            self.broken.append(f"the data of {path} was not durable when {when}")
