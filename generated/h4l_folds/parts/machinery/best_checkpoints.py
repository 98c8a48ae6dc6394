"""The best checkpoints of a run, which stay its best ones when its folder is moved."""

from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint


class BestCheckpoints(ModelCheckpoint):
    """Lightning's, which forgets how good the best ones were if they lay elsewhere before."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the state of a checkpoint of this run, wherever the run was then."""
        folder = Path(str(self.dirpath))
        known = [state_dict["best_model_path"], *state_dict["best_k_models"]]
        names = {path: str(folder / Path(path).name) for path in known if path}
        # Those of another run, from which this one starts, are not here.
        if names and all(Path(path).exists() for path in names.values()):
            kth = state_dict["kth_best_model_path"]
            state_dict = {
                **state_dict,
                "dirpath": self.dirpath,
                "best_model_path": names.get(state_dict["best_model_path"], ""),
                "best_k_models": {names[p]: v for p, v in state_dict["best_k_models"].items()},
                "kth_best_model_path": names.get(kth, ""),
                "last_model_path": "",
            }
        super().load_state_dict(state_dict)
