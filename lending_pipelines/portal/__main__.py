"""`python -m lending_pipelines.portal`: serves the portal of this home, or changes the key of its access tokens."""

import argparse
import sys

from lending_pipelines.errors import LendingError
from lending_pipelines.portal.auth.signing_keys import SigningKeys
from lending_pipelines.portal.server import serve
from lending_pipelines.processes import restrict_files
from lending_pipelines.settings import Settings


def main() -> None:
    """Parse the command line and serve until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--rotate-key", action="store_true", help="sign access tokens with a new key, and end")
    options = parser.parse_args()
    try:
        restrict_files(Settings.from_environment().umask)
        if options.rotate_key:
            print(f"Access tokens are signed with the key {SigningKeys(Settings.from_environment()).rotate()} now.")
            return
        serve(options.host, options.port)
    except LendingError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
