# SPDX-License-Identifier: Apache-2.0
"""Stage 2 (section 4): speech to what stage 1 decodes. ``python -m training.stage2 CONFIG``."""

from __future__ import annotations

import sys

from training.train import main

if __name__ == "__main__":
    sys.exit(main(stages=("stage2",)))
