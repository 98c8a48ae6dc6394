"""How scripts are started, where they are struck, and how they end."""

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from attrs import frozen

HERE = Path(__file__).parent
# An interrupted start or a hung one must not hang the tests.
PATIENCE = 120.0


def isolated() -> dict[str, str]:
    """Return the environment of a process that cannot import seesawc."""
    kept = {n: v for n, v in os.environ.items() if n in ("PATH", "HOME", "LANG", "TMPDIR")}
    return kept | {
        "PYTHONPATH": str(HERE / "isolation"),
        "OMP_NUM_THREADS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
    }


@frozen
class Ended:
    """How a start of a script ended."""

    status: int
    output: str
    error: str

    def refused(self, *words: str) -> None:
        """Assert that the start was refused in so many words, not by a traceback."""
        assert self.status == 1, self
        assert self.error.count("refused:") == 1, self
        for word in words:
            assert word in self.error, self
        self.quiet()

    def quiet(self) -> None:
        """Assert that no traceback was shown."""
        assert "Traceback" not in self.output + self.error, self

    def done(self) -> "Ended":
        """Assert that the start came to its end without a warning from the tracker."""
        assert self.status == 0, self
        assert "tracker" not in self.error
        assert "warning: " not in self.output, self
        self.quiet()
        return self


@frozen
class Strike:
    """Where a script is struck by a signal: see isolation/strikes.py."""

    event: str
    pattern: str
    count: int
    number: int
    rank: int = 0


class Started(ABC):
    """A script that runs, and where it says what it says."""

    def __init__(self, pid: int, output: Path, error: Path) -> None:
        self.pid = pid
        self.texts = (output, error)

    @abstractmethod
    def status(self) -> int:
        """Wait for the script, and return its exit status."""

    @abstractmethod
    def over(self) -> bool:
        """Whether it has ended."""

    def wait(self) -> Ended:
        """Return how it ended."""
        status = self.status()
        return Ended(status, *("" if p.is_char_device() else p.read_text() for p in self.texts))

    def signal(self, number: int) -> Ended:
        """Send a signal, and return how it ended; it may have ended before."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
        return self.wait()


class Cold(Started):
    """A script that Python was started with."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path, error: Path) -> None:
        super().__init__(process.pid, output, error)
        self.process = process

    def status(self) -> int:
        return self.process.wait(PATIENCE)

    def over(self) -> bool:
        return self.process.poll() is not None


class Forked(Started):
    """A script that the warm interpreter has forked for; it ends with the connection."""

    def __init__(self, connection: socket.socket, output: Path, error: Path) -> None:
        connection.settimeout(PATIENCE)
        self.connection = connection
        self.answers = connection.makefile()
        super().__init__(self.answer(), output, error)
        self.ended: int | None = None

    def answer(self) -> int:
        line = self.answers.readline()
        assert line, "the warm interpreter has ended: pytest -s shows its error"
        return int(line)

    def status(self) -> int:
        if self.ended is None:
            self.ended = self.answer()
            self.answers.close()
            self.connection.close()
        return self.ended

    def over(self) -> bool:
        return self.ended is not None or bool(select.select([self.connection], [], [], 0)[0])


class Warm:
    """The interpreter that starts scripts in forks of its own; one for all tests of a process."""

    def __init__(self) -> None:
        # The path of a socket must be short.
        self.place = Path(tempfile.mkdtemp(prefix="warm-", dir="/tmp"))
        self.socket = self.place / "socket"
        command = [sys.executable, str(HERE / "warm.py"), str(self.socket)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, env=isolated())
        deadline = time.monotonic() + PATIENCE
        while not self.socket.exists() and self.process.poll() is None:
            assert time.monotonic() < deadline, "the warm interpreter does not start"
            time.sleep(0.02)

    def variables(self) -> dict[str, str]:
        """Return what makes `launcher` start scripts by this interpreter."""
        return {"TOY_WARM": str(self.socket)}

    @property
    def launcher(self) -> Path:
        """A folder with a stand-in for Python."""
        return HERE / "isolation" / "bin"

    def start(
        self,
        arguments: Sequence[str],
        variables: Mapping[str, str],
        folder: Path,
        output: Path,
        error: Path,
        terminal: str = "",
    ) -> Forked:
        """Start a script, the first of the arguments; `terminal` takes what it says."""
        request = {
            "arguments": list(arguments),
            "variables": {**variables, **self.variables()},
            "folder": str(folder),
        }
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.socket))
        places = [os.open(os.devnull, os.O_RDONLY)]
        for path in (terminal or output, terminal or error):
            places.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOCTTY, 0o644))
        socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], places)
        for place in places:
            os.close(place)
        return Forked(connection, output, error)

    def close(self) -> None:
        """End the interpreter; what it has started has ended before."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        shutil.rmtree(self.place)
