"""One column of any library (numpy, pandas, Arrow, awkward) -> its values, and where there is none.

A masked value of numpy is a null, and so is None, also to Arrow and awkward. In a column of pandas
nan is one as well: it makes nan of the nulls of a file. Elsewhere nan is a value as any other.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parts.readers import Column


def given_column(column: Any) -> Column:
    """Return the numbers of a column, 0 for each null; raises `TypeError` or `ValueError`."""
    values, absent = values_and_nulls(column)
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise ValueError("not one number each")
    return Column(values, absent if absent is not None and absent.any() else None)


def values_and_nulls(column: Any) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return the values of a column, and where these are null, as far as its library has nulls."""
    home = type(column).__module__.partition(".")[0]
    if home == "pandas":
        return pandas_values(column)
    if home == "pyarrow":
        absent = np.asarray(column.is_null())
        if absent.any():
            # Else numpy makes floats of whole numbers.
            column = column.fill_null(column.type.to_pandas_dtype()(0))
        return np.asarray(column), absent
    if home == "awkward":
        column = column.to_numpy(allow_missing=True)
    if isinstance(column, np.ma.MaskedArray):
        absent = np.ma.getmaskarray(column)
        return np.where(absent, column.dtype.type(0), column.data), absent
    values = np.asarray(column)
    if values.dtype != object or values.ndim != 1:
        return values, None
    there = np.array([each is not None for each in values], dtype=np.bool_)
    known = np.array(values[there].tolist())
    if known.ndim != 1:
        raise ValueError("not one number each")
    numbers = np.zeros(len(values), known.dtype)
    numbers[there] = known
    return numbers, ~there


def pandas_values(column: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the values of a column of pandas, 0 for a null, and where it has one."""
    absent = np.asarray(column.isna(), dtype=np.bool_)
    # Only types that have nulls of their own say which numbers they hold.
    kind = getattr(column.dtype, "numpy_dtype", None)
    if kind is not None and absent.any():
        return column.to_numpy(dtype=kind, na_value=0), absent
    return np.asarray(column), absent
