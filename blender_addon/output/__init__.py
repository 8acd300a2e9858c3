# SPDX-License-Identifier: GPL-3.0-or-later
"""What leaves Blender: .blend files, exchange files, videos and contact sheets."""
