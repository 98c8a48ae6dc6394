"""Makes an interpreter, and those it starts, unable to import seesawc."""

import atexit
import json
import os
import sys
from pathlib import Path

import strikes


class Blocker:
    """Refuses the compiler's package, wherever it might be found."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == "seesawc":
            raise ModuleNotFoundError(f"{name} is blocked", name=name)


def witness() -> None:
    """Write what a process was when it ended, where that is asked for."""
    if "WITNESS_FOLDER" not in os.environ:
        return
    folder = Path(os.environ["WITNESS_FOLDER"])
    torch = sys.modules.get("torch")
    content = {
        "rank": os.environ.get("LOCAL_RANK", "0"),
        "precision": torch.get_float32_matmul_precision() if torch else None,
        "deterministic": torch.are_deterministic_algorithms_enabled() if torch else None,
        "ours": [name for name in sys.modules if name.partition(".")[0] == "seesawc"],
        "parts": sorted(
            {
                str(Path(str(sys.modules[name].__file__)).parent)
                for name in sys.modules
                if name.partition(".")[0] == "parts"
            }
        ),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{os.getpid()}.json").write_text(json.dumps(content))


sys.meta_path.insert(0, Blocker())
# The checkout's compiler is on the path of the environment; nothing is to be read from there.
sys.path[:] = [entry for entry in sys.path if not (Path(entry) / "seesawc/pipeline.py").exists()]
atexit.register(witness)
strikes.arm()
