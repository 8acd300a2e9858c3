# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's side of the pipes: starts the backend, speaks with it, keeps it alive. No bpy."""
