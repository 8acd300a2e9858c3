# SPDX-License-Identifier: GPL-3.0-or-later
"""Your character: from the model's 52 ARKit weights to any character's keys and bones. No bpy.

``inspect`` names -> a map (``matching.propose``) -> shown for review, kept as JSON (``model``) ->
curves (``apply.curves``), without asking the backend again.
"""
