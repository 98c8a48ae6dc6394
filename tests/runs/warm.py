"""Starts scripts in forks of one interpreter that has imported their libraries: seconds saved.

Reads a JSON object a line from its input; says `[pid, null]` of each process that it starts, and
`[pid, status]` when that has ended.
"""

import gc
import importlib
import json
import os
import runpy
import select
import sys
from pathlib import Path
from typing import Any

import strikes

LIBRARIES = (
    "lightning.pytorch",
    "matplotlib.backends.backend_agg",
    "mlflow",
    "mlflow.store.tracking.sqlalchemy_store",
    "pandas",
    "pyarrow.parquet",
    "torch",
)


def serve() -> dict[str, Any]:
    """Fork for each line that comes; returns the request, in the fork."""
    running = set[int]()
    while True:
        for pid in tuple(running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                running.remove(pid)
                print(json.dumps([pid, os.waitstatus_to_exitcode(status)]), flush=True)
        if select.select([0], [], [], 0.02)[0]:
            request = read_request()
            pid = os.fork()
            if pid == 0:
                return request
            running.add(pid)
            print(json.dumps([pid, None]), flush=True)


def read_request() -> dict[str, Any]:
    """Return the next request; exits at the end of the input."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            os._exit(0)
        line += byte
    request: dict[str, Any] = json.loads(line)
    return request


def become(request: dict[str, Any]) -> None:
    """Run the script as if Python had been started with it."""
    os.setsid()
    for descriptor, name in ((0, os.devnull), (1, request["output"]), (2, request["error"])):
        flags = os.O_RDONLY if descriptor == 0 else os.O_RDWR | os.O_CREAT | os.O_APPEND
        os.dup2(os.open(name, flags, 0o644), descriptor)
    os.environ.clear()
    os.environ |= request["variables"]
    # As it would have been at the start of an interpreter.
    strikes.arm()
    os.chdir(request["folder"])
    if request["uid"] is not None:
        os.setgroups([])
        os.setgid(request["uid"])
        os.setuid(request["uid"])
    sys.argv = [request["script"], *request["arguments"]]
    sys.path[0] = str(Path(request["script"]).parent)
    runpy.run_path(request["script"], run_name="__main__")


if __name__ == "__main__":
    for library in LIBRARIES:
        importlib.import_module(library)
    # What is frozen is not copied when a fork collects its garbage.
    gc.freeze()
    become(serve())
