"""Exit with 0 if the service in this container answers that it is well."""

import os
import sys
from urllib.error import URLError
from urllib.request import urlopen

url = f"http://127.0.0.1:{os.environ.get('WANGGE_PORT', '8000')}/api/v1/health"
try:
    with urlopen(url, timeout=4) as answer:
        sys.exit(answer.status != 200)
except (URLError, OSError) as error:
    sys.exit(f"{url}: {error}")
