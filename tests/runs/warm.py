"""Starts scripts in forks of one interpreter that has imported their libraries: seconds saved.

Listens at a socket for `isolation/bin/python`, which stands in for Python. That sends where, with
which arguments and variables a script is to run, and its own input, output and error. It is told
the number of the process, and the exit status once it has ended. The process ends with whoever
asked for it; this ends with its own input.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import strikes
from sitecustomize import witness

# Not onnxruntime, which begins a thread that no fork has.
LIBRARIES = (
    "awkward",
    "h5py",
    "lightning.pytorch",
    "matplotlib.backends.backend_agg",
    "mlflow",
    "mlflow.store.tracking.sqlalchemy_store",
    "onnx",
    "pyarrow.csv",
    "pyarrow.parquet",
    "torch",
    "tqdm",
    "uproot",
)
LAUNCHER = Path(__file__).with_name("isolation") / "bin" / "python"


def serve(server: socket.socket) -> dict[str, Any]:
    """Fork for each request that comes; returns it, in the fork."""
    running: dict[int, socket.socket] = {}
    while True:
        for pid in tuple(running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                tell(running.pop(pid), os.waitstatus_to_exitcode(status))
        ready, _, _ = select.select([0, server.fileno()], [], [], 0.02)
        if 0 in ready and not os.read(0, 1):
            os._exit(0)
        if server.fileno() in ready:
            connection, _ = server.accept()
            request, descriptors = receive(connection)
            pid = os.fork()
            if pid == 0:
                server.close()
                return request | {"connection": connection, "descriptors": descriptors}
            for descriptor in descriptors:
                os.close(descriptor)
            tell(connection, pid, last=False)
            running[pid] = connection


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Return a request, a JSON object of one line, and the descriptors that come with it."""
    text, descriptors, _, _ = socket.recv_fds(connection, 65536, 3)
    while not text.endswith(b"\n"):
        text += connection.recv(65536)
    request: dict[str, Any] = json.loads(text)
    return request, descriptors


def tell(connection: socket.socket, number: int, last: bool = True) -> None:
    """Send a number, to somebody who may be gone."""
    with suppress(OSError):
        connection.sendall(f"{number}\n".encode())
    if last:
        connection.close()


def end_with(connection: socket.socket) -> None:
    """End this process when the one that asked for it does."""
    connection.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


class Ending:
    """Ends a fork once all is done that its script may see of Python's end."""

    status: int | None = None

    def leave(self) -> None:
        """Leave out half a second, in which Python takes its modules down.

        Not where the script is struck by a signal: that may come as late as this.
        """
        if self.status is None or "TOY_STRIKE" in os.environ:
            return
        witness()
        # If nobody takes what is left to say, Python has its own status for that.
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.status)


def become(request: dict[str, Any], ending: Ending) -> None:
    """Run the script as if Python had been started with it."""
    os.setsid()
    for number, descriptor in enumerate(request["descriptors"]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    threading.Thread(target=end_with, args=[request["connection"]], daemon=True).start()
    os.environ.clear()
    os.environ |= request["variables"]
    # What the script starts by Python's own name is started like this, too.
    sys.executable = str(LAUNCHER)
    if user := os.environ.pop("TOY_USER", ""):
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))
    # As it would have been at the start of an interpreter.
    strikes.arm()
    os.chdir(request["folder"])
    sys.argv = request["arguments"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as ended:
        ending.status = ended.code if isinstance(ended.code, int) else None
        raise
    ending.status = 0


if __name__ == "__main__":
    # What is registered first is called last.
    ending = Ending()
    atexit.register(ending.leave)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(sys.argv[1])
        listening.listen(64)
        for library in LIBRARIES:
            importlib.import_module(library)
        # What is frozen is not copied when a fork collects its garbage.
        gc.freeze()
        become(serve(listening), ending)
