# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that touches the scene: the head, targets, Actions, sound, the check."""
