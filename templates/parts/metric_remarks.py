"""Why a metric has no value, or one without a meaning: name and metrics of a split -> words."""

import math
from collections.abc import Collection, Mapping

from parts.metrics import LEAST_BACKGROUND

NO_CUT = f"fewer than {LEAST_BACKGROUND} effective background events are left at any cut"
NO_CUT_CHOSEN = "the validation whose cut is taken has chosen none"
NO_BACKGROUND = "the background's weights do not add up to a yield above the cut"
NO_CLASS = "the weights of a class do not add up to a yield"
# By the name of a metric, and for all that begin as `auc` does.
REASONS = {
    "auc": NO_CLASS,
    "average_precision": "the weights of the signal do not add up to a yield",
    "accuracy": "the weights do not add up to a yield",
    "f1": "there is a class that events neither belong to nor are taken for",
    "chi2": "a variable has no bin with events",
    "ratio": "there are no weighted data",
    "closure": "there are no weighted tight leptons",
}
# What is a share of something, as long as no weights are negative.
SHARES = ("auc", "average_precision", "accuracy", "f1")
BEYOND = "not from 0 to 1, where negative weights prevail: it means nothing"


def remarks(
    metrics: Mapping[str, Mapping[str, float]], tested: Collection[str] = ("test",)
) -> list[str]:
    """Return a line for each of the metrics (split, name) that has no value, or no meaning."""
    return [
        f"{name} of {split} is {values[name]:.4g}: {why}"
        for split, values in metrics.items()
        for name in values
        if (why := remark(name, values, tested=split in tested))
    ]


def remark(name: str, metrics: Mapping[str, float], tested: bool = False) -> str | None:
    """Return why a metric of a split is NaN, or means nothing; None where all is well.

    The cut on the significance is sought on these events; for those `tested`, on others.
    """
    value = metrics[name]
    if not math.isnan(value):
        share = name in SHARES or name.startswith("auc_")
        return BEYOND if share and not 0 <= value <= 1 else None
    if name.startswith("significance"):
        if math.isnan(metrics.get("significance_cut", math.nan)):
            return NO_CUT_CHOSEN if tested else NO_CUT
        return NO_BACKGROUND
    return REASONS.get(name) or REASONS.get(name.partition("_")[0]) or "it is not defined here"
