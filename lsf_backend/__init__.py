# SPDX-License-Identifier: Apache-2.0
"""The model backend of LSF Animation: speech in, facial motion out. Never imports bpy."""
