#!/usr/bin/env python3
"""Takes one guard away at a time (an fsync, an order, a lock, a check of what a call returned) and runs the test that has to observe it.

    python3 tests/fault/mutations.py [WORD ...]     only mutations with one of these words in their names

Works on a copy of the sources in build/mutations, builds the program there (ccache helps), and writes tests/fault/mutations.jsonl: a line a
mutation, whether its test has failed ("observed") or not ("SURVIVED"). Exit code 1 where one survives. Each test passes without it, which
is run first.
"""
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / "build" / "mutations"
TABLE = Path(__file__).with_name("mutations.jsonl")
ORDER = "tests/fault/test_power_cut.py::test_of_a_run"
PARTS = "tests/programs/test_file_faults.py::test_calls_that_move_less_than_they_were_asked_to"
FAILING = "tests/programs/test_file_faults.py::test_a_call_that_fails_on_one_rank_ends_all_and_is_named"


@dataclass(frozen=True)
class Mutation:
    """`old`, which stands once in framework/<file>, becomes `new`; `test` fails then."""
    name: str
    file: str
    old: str
    new: str
    test: str


RENAME = "  fs::rename(part_of(path), path, error);\n"
SYNC = "  if (durably) make_all_durable(part_of(path));\n"
MUTATIONS = [
    Mutation("no fsync of a file before its rename", "core/files.cpp", SYNC, "", ORDER),
    Mutation("no fsync of the folder behind a rename", "core/files.cpp",
             '  if (durably) make_durable(path.has_parent_path() ? path.parent_path() : fs::path("."));\n', "", ORDER),
    Mutation("the rename before the fsync of the data", "core/files.cpp", SYNC + "  std::error_code error;\n" + RENAME,
             "  std::error_code error;\n" + RENAME + "  if (durably) make_all_durable(path);\n", ORDER),
    Mutation("the folder's fsync before the rename", "core/files.cpp", SYNC, SYNC + "  if (durably) make_durable(path.parent_path());\n  durably = false;\n",
             ORDER),
    Mutation("fsync says nothing when it fails", "core/files.cpp", "  LAWA_CHECK(status == 0, path.string(), \": can't be synchronised: \"",
             "  LAWA_CHECK(status <= 0, path.string(), \": can't be synchronised: \"", f"{FAILING}[fsync-EIO-direct]"),
    Mutation("a rename that fails is ignored", "core/files.cpp", "  LAWA_CHECK(!error, path.string(), \": can't be renamed",
             "  LAWA_CHECK(!error || path.has_filename(), path.string(), \": can't be renamed", f"{FAILING}[rename-EACCES-direct]"),
    Mutation("a commit record without an fsync", "checkpoint/commit_record.cpp", 'record.to_json().dump(2) + "\\n", durably)',
             'record.to_json().dump(2) + "\\n", false && durably)', ORDER),
    Mutation("no fsync of the files that a record names", "checkpoint/flat_file.cpp", "  commit_file(laid_out.path, durably);\n  return describe_file(laid_out.path,",
             "  commit_file(laid_out.path, false);\n  return describe_file(laid_out.path,", ORDER),
    Mutation("checksums behind the fsync", "checkpoint/flat_file.cpp", "  commit_file(laid_out.path, durably);\n",
             "  commit_file(laid_out.path, durably);\n  for (const auto& [name, sums] : checksums) ByteFile(laid_out.path, ByteFile::Mode::update)"
             ".write(*laid_out.places(name).checksums, std::as_bytes(std::span(sums)));\n", ORDER),
    Mutation("a checkpoint without its past's fsync", "train/saver.cpp", "    if (durably) directory_.make_metrics_durable();  // no checkpoint without its past\n",
             "", ORDER),
    Mutation("its past behind the checkpoint", "checkpoint/background_saves.cpp", "  one.save.before_names();\n  auto file = one.files.begin();\n"
             "  for (const FileToSave& described : one.save.files) described.named((file++)->seal());\n",
             "  auto file = one.files.begin();\n  for (const FileToSave& described : one.save.files) described.named((file++)->seal());\n"
             "  one.save.before_names();\n", ORDER),
    Mutation("old checkpoints go before the new one is committed", "checkpoint/background_saves.cpp",
             "  for (const FileToSave& described : one.save.files) described.named((file++)->seal());\n  one.save.behind_names();\n",
             "  one.save.behind_names();\n  for (const FileToSave& described : one.save.files) described.named((file++)->seal());\n", ORDER),
    Mutation("a state goes before its record says so", "checkpoint/run_directory.cpp", "      write_record(checkpoints_, *record);\n",
             "      fs::remove(state_path(checkpoints_, *step));\n      write_record(checkpoints_, *record);\n", ORDER),
    Mutation("retention without a look at the newest checkpoint", "checkpoint/run_directory.cpp", "  verify_file(checkpoints_, last.weights);\n", "",
             "test_checkpoint Retention.NothingGoesUnlessTheNewestIsWhole"),
    Mutation("one node's fsync alone", "checkpoint/shard_file.cpp", "  if (comm_->nodes() > 1 && comm_->rank_on_node() == 0) lawa::make_durable(part_);\n",
             "  if (comm_->root()) lawa::make_durable(part_);\n", "tests/fault/test_power_cut.py::test_of_a_run_on_two_hosts"),
    Mutation("averages: no node's own fsync", "average/averager.cpp", "    if (options.fsync || comm.nodes() > 1) under_way.make_durable();", "   ",
             "tests/fault/test_power_cut.py::test_of_averages_on_two_hosts"),
    Mutation("a lock that somebody holds is ignored", "core/file_lock.cpp", "    if (error == EACCES || error == EAGAIN) return running(path_, holder);\n",
             "    if (error == EACCES || error == EAGAIN) return \"\";\n",
             "tests/programs/test_file_faults.py::test_every_folder_that_is_written_is_locked"),
    Mutation("an owner's file that somebody renews is ignored", "core/file_lock.cpp", "    if (!owner_) return running(owner, holder_name(words));\n", "",
             "tests/programs/test_locks.py::test_without_locks_an_owner_file_stands_for_one"),
    Mutation("a short write is taken for a whole one", "core/byte_file.cpp", "    bytes = bytes.subspan(static_cast<size_t>(count));\n",
             "    bytes = bytes.subspan(bytes.size());\n", f"{PARTS}[write]"),
    Mutation("a write that fails is taken for one that did nothing", "core/byte_file.cpp",
             "    LAWA_CHECK(count > 0, path_.string(), \": can't be written: \", std::strerror(errno));\n", "    if (count <= 0) return;\n",
             f"{FAILING}[write-EIO-direct]"),
    Mutation("a short read is taken for a whole one", "core/byte_file.cpp", "    out = out.subspan(count);\n", "    out = out.subspan(out.size());\n", f"{PARTS}[read]"),
    Mutation("a close that fails is ignored", "core/byte_file.cpp", '  LAWA_CHECK(::close(std::exchange(descriptor_, -1)) == 0, path_',
             '  LAWA_CHECK(::close(std::exchange(descriptor_, -1)) <= 0, path_', f"{FAILING}[close-EIO-direct]"),
    Mutation("room that the disk hasn't is ignored", "core/byte_file.cpp", "  LAWA_CHECK(!refused, path_.string(), \": can't be given \"",
             "  LAWA_CHECK(!refused || bytes > 0, path_.string(), \": can't be given \"",
             "tests/programs/test_file_faults.py::test_a_full_disk_is_called_one_at_every_call[allocate-1]"),
]


def run(*words, **more):
    return subprocess.run([str(word) for word in words], text=True, capture_output=True, cwd=COPY, **more)


def copy_sources():
    """Those that git knows, as they are now; their times change only where they do, so that little is compiled again."""
    COPY.mkdir(parents=True, exist_ok=True)
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, text=True, capture_output=True).stdout.split("\n")
    for file in filter(None, files):
        content, to = (ROOT / file).read_bytes(), COPY / file
        if not to.exists() or to.read_bytes() != content:
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(content)
            to.chmod((ROOT / file).stat().st_mode)
    if not (COPY / "build" / "cpu").exists():
        run("cmake", "--preset", "cpu", "-DLAWA_PRECOMPILED=OFF", check=True)


def program_of(test):
    """The target that the test runs: the program, or a C++ test."""
    return "lawa" if "::" in test else test.split()[0]


def build(target):
    built = run("cmake", "--build", "--preset", "cpu", "-j", "2", "--target", target)
    if built.returncode != 0:
        sys.exit(f"doesn't compile:\n{built.stdout[-4000:]}")


def passes(test):
    """Whether it does. Errors: it doesn't run."""
    if "::" in test:
        result = run(sys.executable, "-m", "pytest", "-q", "-x", test)
        if result.returncode not in (0, 1) or "skipped" in result.stdout:
            sys.exit(f"{test} doesn't run:\n{result.stdout[-4000:]}")
        return result.returncode == 0
    target, name = test.split()
    result = run(next((COPY / "build" / "cpu").rglob(target)), f"--gtest_filter={name}")
    if "[==========] 1 test from" not in result.stdout:
        sys.exit(f"{test} doesn't run:\n{result.stdout}")
    return result.returncode == 0


def observed(mutation):
    path = COPY / "framework" / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        sys.exit(f"{mutation.name}: stands {text.count(mutation.old)} times in framework/{mutation.file}:\n{mutation.old}")
    path.write_text(text.replace(mutation.old, mutation.new))
    try:
        build(program_of(mutation.test))
        return not passes(mutation.test)
    finally:
        path.write_text(text)


def main():
    chosen = [mutation for mutation in MUTATIONS if not sys.argv[1:] or any(word in mutation.name for word in sys.argv[1:])]
    copy_sources()
    for test in dict.fromkeys(mutation.test for mutation in chosen):
        build(program_of(test))
        if not passes(test):
            sys.exit(f"{test} fails without any mutation")
    rows = []
    for mutation in chosen:
        rows.append({"mutation": mutation.name, "file": f"framework/{mutation.file}", "test": mutation.test,
                     "result": "observed" if observed(mutation) else "SURVIVED"})
        print(json.dumps(rows[-1]), flush=True)
    if chosen == MUTATIONS:
        TABLE.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sys.exit(any(row["result"] == "SURVIVED" for row in rows))


if __name__ == "__main__":
    main()
