# SPDX-License-Identifier: Apache-2.0
"""Stage 1 (section 3): motion is learnt as codes. ``python -m training.stage1 CONFIG``."""

from __future__ import annotations

import sys

from training.train import main

if __name__ == "__main__":
    sys.exit(main(stages=("stage1",)))
