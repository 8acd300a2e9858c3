# SPDX-License-Identifier: Apache-2.0
"""For all tests: nobody reaches the network, and Blender writes into a temporary folder."""

import os
import tempfile

os.environ.setdefault("BLENDER_USER_RESOURCES", tempfile.mkdtemp(prefix="lsf-blender-"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
