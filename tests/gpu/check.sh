#!/usr/bin/env bash
# Generated scripts on a GPU. In the project, where .venv is:   tests/gpu/check.sh prepare
# On the machine with the GPU, to which .gpu/ was carried:      bash .gpu/tests/gpu/check.sh [SECONDS [WORD ...]]
# Back in the project, with what that has left in .gpu/:        tests/gpu/check.sh keep
# ACCELERATOR=cpu, said to the first, and EVENTS=100000, to the second, try it all without a GPU.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
case ${1:-} in
  prepare | keep)
    PYTHONPATH="$root/compiler:$root/templates:$root" \
      "${PYTHON:-$root/.venv/bin/python}" "$root/tests/gpu/preparation.py" "$1" "${2:-$root/.gpu}"
    ;;
  *)
    # All scripts have the same parts.
    scripts=("$root"/generated/*/)
    PYTHONPATH="$root:${scripts[0]}" "${PYTHON:-python3}" "$root/tests/gpu/check.py" "$@"
    ;;
esac
