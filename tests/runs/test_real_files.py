"""Files that others have written train as ours do: their types, their weights, their columns."""

import re
from pathlib import Path

import pytest
import uproot

from tests.runs.experiments import Workshop

COLUMNS = ["NJet", "NMuon", "MET_px", "MET_py", "NPrimaryVertices", "triggerIsoMu24", "EventWeight"]


def test_flat_columns_of_a_tree_train(workshop: Workshop, real_files: Path) -> None:
    """32-bit numbers and truth values, as experiments store them."""
    file = real_files.resolve() / "uproot-HZZ.root"
    with uproot.open(file) as opened:
        frame = opened["events"].arrays(COLUMNS, library="pd")
    samples = [
        {"name": name, "class": name, "files": [str(file)], "selection": selection}
        for name, selection in (("background", "NMuon < 2"), ("signal", "NMuon >= 2"))
    ]
    changes = {
        "event_number": None,
        "weight": "EventWeight",
        "numerical": ["MET_px", "MET_py", "NPrimaryVertices", "Muon_Px[0]", "muon_pt"],
        "derived": {"muon_pt": "sqrt(Muon_Px[0] ** 2 + Muon_Py[0] ** 2)"},
        "categorical": ["NJet", "triggerIsoMu24"],
        "missing": -999.0,
        "samples": samples,
    }
    ended = workshop.run(workshop.build("hzz", dataset_config=changes)).done()
    run = workshop.found("hzz")
    assert all(value is not None for value in run.series("val_auc").values())
    printed = re.findall(r"(?:background|signal) (\d+) \((\S+)\)", ended.output)
    assert sum(int(count) for count, _ in printed) == len(frame)
    yields = sum(float(total) for _, total in printed)
    assert yields == pytest.approx(frame["EventWeight"].sum(), rel=1e-3)
