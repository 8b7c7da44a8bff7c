"""The library behind Brain Age, an open, executable book.

Rooms import only rooms on floors below their own (``make lint`` checks it), and
importing this package loads none of them. ``brainage_lib.predict`` is loaded when it is
first used: ``brainage_lib.predict("T1w.nii.gz", age=63.2, sex="F", model="runs/real")``.
"""

__version__ = "0.1.0"


def __getattr__(name: str):
    # The room of that name is also the function; it brings torch along, so it waits.
    if name == "predict":
        import importlib

        return importlib.import_module("brainage_lib.predict")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
