"""Why a tracker does not answer: what it says itself, but for what nobody may read."""

import os
import re
from urllib.parse import unquote

# What an address, or a setting, holds behind a name.
PASSWORD = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*@|(?<=://)[^/@\s:]+@")
# Variables whose values are secret.
SECRET = re.compile(r"KEY|TOKEN|PASSWORD|SECRET|CREDENTIAL")
# As long as it may be: some exceptions show all that they were given.
LENGTH = 700


def masked_reason(error: BaseException) -> str:
    """Return what an exception says, on one line, with all passwords and keys masked."""
    said = " ".join(str(error).split()) or type(error).__name__
    for secret in sorted(secrets(), key=len, reverse=True):
        said = said.replace(secret, "***")
    said = PASSWORD.sub("***@", said)
    return ascii(said if len(said) <= LENGTH else f"{said[:LENGTH]} ...")[1:-1]


def secrets() -> set[str]:
    """Return what is secret in the environment: keys, and the passwords in addresses."""
    named = {value for name, value in os.environ.items() if SECRET.search(name)}
    # An address says it in two ways.
    address = os.environ.get("MLFLOW_TRACKING_URI", "")
    user, _, password = address.partition("://")[2].rpartition("@")[0].partition(":")
    found = {value.strip() for value in (*named, password or user, unquote(password or user))}
    return {value for value in found if len(value) > 3}
