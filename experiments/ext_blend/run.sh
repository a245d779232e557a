#!/usr/bin/env bash
# This folder's figure, from nothing to a picture: set-up, build, and the driver with the options that are given here.
set -euo pipefail
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bash "$folder/../../framework/setup/setup.sh"
source "$folder/../../framework/setup/environment.sh"   # after the set-up: it may just have installed Python
bash "$root/framework/setup/build.sh" cpu lawa
exec "$python" "$root/experiments/run.py" "$(basename "$folder")" "$@"
