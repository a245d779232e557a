#!/usr/bin/env bash
# From nothing to pictures: bash experiments/run.sh FIGURE... [OPTION...]: set-up, build, and experiments/run.py with these words.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bash "$here/../framework/setup/setup.sh"
source "$here/../framework/setup/environment.sh"   # after the set-up: it may just have installed Python
bash "$root/framework/setup/build.sh" cpu lawa
exec "$python" "$here/run.py" "$@"
