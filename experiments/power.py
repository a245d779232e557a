"""Electric power while runs train: Intel's RAPL counters, NVIDIA's driver, or a power that the user states (LAWA_WATTS)."""
import os
import shutil
import subprocess
import time
from pathlib import Path

RAPL = Path("/sys/class/powercap")


class Power:
    """Energy of this machine since the object was made, in kWh. Not measured where nothing tells."""

    def __init__(self):
        self._stated = float(os.environ["LAWA_WATTS"]) if os.environ.get("LAWA_WATTS") else None
        self._counters = {} if self._stated else self._read_rapl()
        self._gpu = shutil.which("nvidia-smi") if not self._stated else None
        self._last = time.monotonic()
        self._joules = 0.0

    @property
    def measured(self):
        return bool(self._stated or self._counters or self._gpu)

    def joules(self):
        """Joules so far; call it every few seconds, as counters wrap around and a GPU only tells its present power."""
        now = time.monotonic()
        seconds, self._last = now - self._last, now
        if self._stated:
            self._joules += self._stated * seconds
        for path, (before, range_) in self._counters.items():
            value = int((path / "energy_uj").read_text())
            self._joules += (value - before) % range_ * 1e-6
            self._counters[path] = (value, range_)
        if self._gpu:
            self._joules += self._gpu_watts() * seconds
        return self._joules

    @staticmethod
    def _read_rapl():
        """{package: (microjoules, the counter's range)} of the packages that may be read."""
        found = {}
        for path in sorted(RAPL.glob("intel-rapl:[0-9]*")):
            try:
                if path.name.count(":") == 1:   # a package; its parts have names like intel-rapl:0:0
                    found[path] = (int((path / "energy_uj").read_text()), int((path / "max_energy_range_uj").read_text()) + 1)
            except (OSError, ValueError):
                continue
        return found

    def _gpu_watts(self):
        query = [self._gpu, "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
        try:
            out = subprocess.run(query, capture_output=True, text=True, timeout=5).stdout
            return sum(float(word) for word in out.split())
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return 0.0
