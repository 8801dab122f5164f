"""`python -m lending_pipelines.portal`: serves the portal of this home."""

import argparse
import sys

from lending_pipelines.errors import LendingError
from lending_pipelines.portal.server import serve


def main() -> None:
    """Parse the command line and serve until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    try:
        serve(options.host, options.port)
    except LendingError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
