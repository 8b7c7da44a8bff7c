"""The library behind Brain Age, an open, executable book.

Rooms import only rooms on floors below their own (``make lint`` checks it), and
importing this package loads none of them.
"""

__version__ = "0.1.0"
