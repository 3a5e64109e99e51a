"""The types of arrays, for annotations only: `numpy.typing` takes a hundredth of a short run to import."""

from __future__ import annotations

from msecli import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]
    BoolArray = NDArray[np.bool_]
else:
    FloatArray = IntArray = BoolArray = object
