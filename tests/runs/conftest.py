"""What the tests of generated scripts share: folders with data."""

import pytest

from tests.runs.experiments import Workshop, new_workshop
from tests.runs.fakes import FakesWorkshop, leptons
from tests.runs.starts import Warm


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Workshop:
    """A folder with the data of two classes, for all tests of a file."""
    return new_workshop(tmp_path_factory.mktemp("workshop"), warm)


@pytest.fixture(scope="module")
def fakes(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> FakesWorkshop:
    found = FakesWorkshop(new_workshop(tmp_path_factory.mktemp("fakes"), warm))
    found.write(leptons())
    return found
