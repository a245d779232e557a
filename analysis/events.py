"""The curves as TensorBoard's event files, through its own writer. A copy: metrics.jsonl stays the record."""
import sys
import time

import interpreter  # noqa: F401
import numpy as np

SUFFIX = ".lawa"  # of our files, by which we know them again


class Events:
    """Event files in folder/<run>/<model>; the same tag in several of them is one chart with several curves."""

    def __init__(self, folder):
        """Errors: TensorBoard isn't installed."""
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ModuleNotFoundError:
            raise ValueError("--tensorboard needs the package tensorboard, in an environment of its own: "
                             f"{sys.executable} -m venv --system-site-packages ENV && ENV/bin/pip install tensorboard, "
                             "and ENV/bin/python for this command") from None
        self.folder, self.open_file, self.event, self.summary = folder, EventFileWriter, event_pb2.Event, summary_pb2.Summary
        self.files = {}     # by run and model
        self.written = {}   # the last step in there

    def add(self, runs):
        """Writes the points that came since the call before. The first call replaces what an earlier command wrote."""
        for run in runs:
            self._add(run.name, "plain", "train", run.training)
            for model, curve in run.validation.items():
                self._add(run.name, model, "validation", curve)

    def _add(self, run, model, kind, curve):
        file = self._file(run, model)
        written = self.written.get((run, model, kind), -1)
        for i in np.flatnonzero(curve["step"] > written):
            values = [self.summary.Value(tag=f"{kind}/{column}", simple_value=curve[column][i])
                      for column in curve if column != "step" and not np.isnan(curve[column][i])]
            file.add_event(self.event(step=int(curve["step"][i]), wall_time=time.time(), summary=self.summary(value=values)))
            self.written[run, model, kind] = curve["step"][i]
        file.flush()

    def _file(self, run, model):
        if (run, model) not in self.files:
            folder = self.folder / run / model.replace("/", "_")
            for old in folder.glob(f"events.out.tfevents.*{SUFFIX}"):
                old.unlink()
            self.files[run, model] = self.open_file(str(folder), max_queue_size=1000, filename_suffix=SUFFIX)
        return self.files[run, model]

    def close(self):
        """Until then the files' threads keep the program alive."""
        for file in self.files.values():
            file.close()
