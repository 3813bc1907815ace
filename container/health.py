"""The image's health check: the server or worker of this container answers, or its workspace can be written.

HEALTH_URL names what is to answer. Exits with 1 and one line where something is wrong.
"""

import os
import sys
import tempfile
import urllib.request


def main() -> int:
    url = os.environ.get("HEALTH_URL")
    try:
        if url:
            urllib.request.urlopen(url, timeout=8).close()
        else:
            tempfile.TemporaryFile(dir=".").close()
    except OSError as error:
        print(f"error: {url or os.getcwd()}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
