# SPDX-License-Identifier: Apache-2.0
"""``python -m lsf_backend``: the same as the ``lsf`` command."""

import sys

from lsf_backend.cli import main

if __name__ == "__main__":
    sys.exit(main())
