# SPDX-License-Identifier: Apache-2.0
"""Faces: names of the expression shapes, geometry (linear blend skinning), measures in mm."""
