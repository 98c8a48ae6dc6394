"""Arrays of Arrow from those of numpy, as files of scores have them."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def from_numpy(values: NDArray[Any]) -> pa.Array:
    """Return numbers or conditions (event,) as an array.

    Arrow's own `array` imports pandas, where that is installed.
    """
    bits = values.dtype == np.bool_
    held = np.packbits(values, bitorder="little") if bits else np.ascontiguousarray(values)
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(held)])
