"""Print the fake factor of specs/fakes_pt.toml beside the true one of its toy.

python specs/data/compare_toys.py    after the trainings; data/make_toys.py has left the truth
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "generated" / "fakes_pt"))


def main() -> None:
    """Print a line for each pt of the table of truth."""
    # What the spec compiles to lies there, and is no package.
    from apply import fake_factor

    points = json.loads((HERE / "toy_pt_truth.json").read_text())["points"]
    factors = fake_factor({"pt": [point["pt"] for point in points]})
    print("pt (GeV)       F    true  F / true")
    for point, factor in zip(points, factors, strict=True):
        print(f"{point['pt']:8g}{factor:8.4f}{point['F']:8.4f}{factor / point['F']:10.3f}")


if __name__ == "__main__":
    main()
