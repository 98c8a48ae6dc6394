"""`track` shows a store in a browser, for this machine only, and leaves nothing behind."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient

TRACK = Path(sys.executable).with_name("track")
EXPERIMENT, RUN, METRIC = "higgs-to-four-leptons", "second-try", "val_auc"
PATIENCE = 120.0
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def save_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the store of one run."""
    folder = tmp_path_factory.mktemp("logs")
    store = folder / "mlruns"
    store.mkdir()
    client = MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")
    experiment = client.create_experiment(EXPERIMENT, (store / "artifacts").as_uri())
    run = client.create_run(experiment, run_name=RUN).info.run_id
    client.log_metric(run, METRIC, 0.875)
    client.set_terminated(run)
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def group(leader: int) -> list[int]:
    """Return the processes of a group that live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, process_group = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(process_group) == leader and state != "Z":
            found.append(int(path.parent.name))
    return found


def listeners(port: int) -> list[str]:
    """Return the addresses at which something listens on a port, as the kernel writes them."""
    lines = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path("/proc/net", name).read_text().splitlines()[1:]
    ]
    here = [line[1].split(":") for line in lines if line[3] == "0A"]
    return [address for address, number in here if int(number, 16) == port]


@contextmanager
def tracking(save_dir: Path, port: int, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start `track` as a terminal does, in a process group of its own, and wait for its page."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            [TRACK, "-p", str(port)],
            env=os.environ | {"ANALYSIS_ML_LOGS_DIR": str(save_dir)},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not listeners(port) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert listeners(port), output.read_text()
        yield process
    finally:
        if group(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def refused(*arguments: str) -> str:
    """Return what `track` says when it does not start."""
    ended = subprocess.run([TRACK, *arguments], capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
    assert "Traceback" not in ended.stderr
    return ended.stderr


def browser() -> str:
    if (path := shutil.which("chromium")) is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    return path


def page(url: str, folder: Path) -> str:
    """Return a page as a browser has it, once its scripts have run."""
    command = [browser(), *FLAGS, f"--user-data-dir={folder}", "--virtual-time-budget=20000"]
    shown = subprocess.run(
        [*command, "--dump-dom", url], capture_output=True, text=True, timeout=PATIENCE
    )
    return shown.stdout


def test_the_page_shows_the_runs_to_this_machine_only_until_ctrl_c(
    save_dir: Path, tmp_path: Path
) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{save_dir}/mlruns/mlflow.db")
    run = client.search_runs(["1"])[0].info.run_id
    port = free_port()
    output = tmp_path / "output"
    with tracking(save_dir, port, output) as process:
        assert listeners(port) == ["0100007F"]
        said = output.read_text()
        assert said.startswith(f"MLflow on {save_dir}/mlruns/mlflow.db\nopen http://127.0.0.1:")
        assert f":{port} (Ctrl-C ends it)\n" in said
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=PATIENCE) as health:
            assert health.status == 200
        shown = page(f"http://127.0.0.1:{port}/#/experiments", tmp_path / "experiments")
        assert EXPERIMENT in shown
        shown = page(f"http://127.0.0.1:{port}/#/experiments/1/runs/{run}", tmp_path / "run")
        assert RUN in shown
        assert METRIC in shown
        os.killpg(process.pid, signal.SIGINT)
        process.wait(PATIENCE)
        assert group(process.pid) == []
        assert listeners(port) == []


def test_without_a_store_it_says_what_to_do(tmp_path: Path) -> None:
    said = refused("--save-dir", str(tmp_path))
    assert f"there is no store {tmp_path}/mlruns/mlflow.db; train first" in said
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use_is_refused(save_dir: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = refused("--save-dir", str(save_dir), "-p", str(port))
    assert f"port {port}: Address already in use; give another by -p" in said
