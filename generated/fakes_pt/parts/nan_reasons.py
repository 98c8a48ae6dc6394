"""Why a metric has no value, in words: name and metrics of a split -> a reason."""

import math
from collections.abc import Mapping

from parts.metrics import LEAST_BACKGROUND

NO_CUT = f"fewer than {LEAST_BACKGROUND} effective background events are left at any cut"
NO_BACKGROUND = "the background's weights do not add up to a yield above the cut"
NO_CLASS = "the weights of a class do not add up to a yield"
# By the name of a metric, and for all that begin as `auc` does.
REASONS = {
    "auc": NO_CLASS,
    "average_precision": "the weights of the signal do not add up to a yield",
    "accuracy": "the weights do not add up to a yield",
    "f1": "there is a class that events neither belong to nor are taken for",
    "significance_cut": NO_CUT,
    "chi2": "a variable has no bin with events",
    "ratio": "there are no weighted data",
    "closure": "there are no weighted tight leptons",
}


def why_nan(name: str, metrics: Mapping[str, float]) -> str | None:
    """Return why a metric of a split is NaN; nothing if it is a number."""
    if not math.isnan(metrics[name]):
        return None
    if name == "significance":
        return NO_CUT if math.isnan(metrics.get("significance_cut", math.nan)) else NO_BACKGROUND
    return REASONS.get(name) or REASONS.get(name.partition("_")[0]) or "it is not defined here"
