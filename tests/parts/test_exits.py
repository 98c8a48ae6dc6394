"""Signals are noted wherever they find the program, and obeyed at safe points only."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from parts.machinery.exits import (
    ASKED,
    CANCELLED,
    INTERRUPTED,
    PREEMPTED,
    SIGNALS,
    StoppedError,
    listen,
    obey,
    stop_listening,
)

PARTS = Path(__file__).parents[2] / "templates"
STATUSES = ((signal.SIGTERM, CANCELLED), (signal.SIGUSR2, PREEMPTED), (signal.SIGINT, INTERRUPTED))


def test_without_a_signal_a_safe_point_does_nothing() -> None:
    listen()
    obey()


@pytest.mark.parametrize(("number", "status"), STATUSES)
def test_a_signal_is_noted_and_obeyed_at_the_next_safe_point(number: int, status: int) -> None:
    listen()
    os.kill(os.getpid(), number)
    assert ASKED.status == status
    for _ in range(2):
        with pytest.raises(StoppedError, match=f"exit status {status}") as stop:
            obey()
        assert stop.value.status == status


def test_the_last_signal_counts() -> None:
    listen()
    for number, status in STATUSES:
        os.kill(os.getpid(), number)
        assert ASKED.status == status


def test_tasks_that_train_together_obey_together() -> None:
    listen()
    os.kill(os.getpid(), signal.SIGTERM)
    ASKED.together = True
    obey()
    ASKED.together = False
    with pytest.raises(StoppedError):
        obey()


def run(code: str, *numbers: int) -> subprocess.Popen[str]:
    """Run code that says when it is ready for the signals that it is then sent."""
    text = f"from parts.machinery.exits import *\nimport time\n{code}"
    process = subprocess.Popen(
        [sys.executable, "-c", text],
        env={**os.environ, "PYTHONPATH": str(PARTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for number in numbers:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
    return process


def test_a_second_ctrl_c_ends_the_process_where_it_stands() -> None:
    code = """
listen()
for _ in range(2):
    print("ready", flush=True)
    while not ASKED.status:
        time.sleep(0.01)
time.sleep(60)
"""
    process = run(code, signal.SIGINT)
    assert process.stdout is not None
    # It lives on after the first one.
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert (output, errors) == ("", "")


def test_no_signal_finds_its_way_into_code_that_would_swallow_it() -> None:
    """Struck in finalisers, which swallow exceptions, the process learns of it all the same."""
    code = """
class Slow:
    def __del__(self):
        print("ready", flush=True)
        while not ASKED.status:
            time.sleep(0.01)
        print("finalised", flush=True)
listen()
Slow()
try:
    obey()
except StoppedError as error:
    print(error.status)
"""
    output, errors = run(code, signal.SIGTERM).communicate(timeout=60)
    assert (output, errors) == ("finalised\n143\n", "")


@pytest.mark.parametrize("number", SIGNALS)
def test_the_exit_status_stands_once_nothing_is_listened_to(number: int) -> None:
    """Also when Python has given back its handlers, and takes its modules down."""
    code = f"""
import os, sys
class Last:
    def __del__(self, kill=os.kill, write=os.write, process=os.getpid()):
        kill(process, {number})
        write(2, b"struck")
last = Last()
listen()
stop_listening()
print("ready", flush=True)
sys.exit(3)
"""
    process = run(code, number)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (3, "", "struck")


ENDS = (
    ("return 5", 5, ""),
    ("raise RefusedError('so')", 1, "refused: so"),
    ("open('/none/such')", 1, "refused: [Errno 2] No such file or directory: '/none/such'"),
    ("raise OSError(28, 'no space left')", 4, "stopped: [Errno 28] no space left"),
    ("int('x')", 1, "refused: invalid literal for int() with base 10: 'x'"),
    ("obey()", 143, "stopped by a signal, exit status 143"),
)


@pytest.mark.parametrize(("line", "status", "text"), ENDS)
def test_what_is_carried_out_ends_with_a_status_and_a_line(
    line: str, status: int, text: str
) -> None:
    """Whatever signal comes after that."""
    code = f"""
import os, sys
def work():
    if {status} == 143:
        os.kill(os.getpid(), {signal.SIGTERM:d})
    {line}
status = carry_out(work)
left = [signal.getsignal(number) for number in SIGNALS]
assert left == 3 * [signal.SIG_IGN], left
sys.exit(status)
"""
    process = run(code)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors.strip()) == (status, "", text)


def test_what_is_no_refusal_is_shown_where_it_happened() -> None:
    output, errors = run("carry_out(lambda: {}['x'])").communicate(timeout=60)
    assert output == ""
    assert errors.startswith("Traceback")
    assert errors.endswith("KeyError: 'x'\n")


def test_listening_begins_and_ends_with_all_signals() -> None:
    listen()
    assert {signal.getsignal(number) for number in SIGNALS} == {ASKED.note}
    stop_listening()
    assert {signal.getsignal(number) for number in SIGNALS} == {signal.SIG_IGN}


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_output_that_was_closed_goes_nowhere(closed: str) -> None:
    """What is refused is no less refused, nor what is done less done."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from parts.machinery.exits import RefusedError, carry_out\n"
        "def work():\n"
        "    sys.stdout.write('out')\n    sys.stderr.write('err')\n    raise RefusedError('no')\n"
        "sys.exit(carry_out(work) + 2)"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parents[2] / "templates")]
    ended = subprocess.run(
        ["bash", "-c", f'"$@" {closed}', "bash", *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 3, ended
    assert ended.stdout == ("" if closed != "2>&-" else "out")
    assert ended.stderr == ("" if "2>&-" in closed else "errrefused: no\n")
