"""``python -m brainage_lib`` is the command ``brainage``."""

from brainage_lib.cli import main

if __name__ == "__main__":
    main()
