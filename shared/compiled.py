"""Numba's `njit`, for loops that numpy cannot express.

Numba loads SciPy if it is installed, for linear algebra in compiled functions, coverage to trace its compiler, and yaml
to read its settings from a file. No loop here uses them and the studio does not install them, and where they are
installed they take a third of a second in each process that compiles or loads a loop.
"""

from shared.lean_imports import imports_without

with imports_without("scipy", "coverage", "yaml"):
    import numba.np.arraymath  # noqa: F401 - looks for SciPy when it is imported, otherwise with the first call
    from numba import njit

__all__ = ["njit"]
