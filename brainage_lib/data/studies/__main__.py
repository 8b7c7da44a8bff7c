"""Write the book's page: ``python -m brainage_lib.data.studies > book/studies.md``."""

import sys

from brainage_lib.data.studies.page import studies_page

if __name__ == "__main__":
    sys.stdout.write(studies_page())
