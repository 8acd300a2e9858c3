# SPDX-License-Identifier: Apache-2.0
"""Measures the model: fusion over length, stages, memory, training speed. ``python -m ...bench``.

Networks have random weights of the true sizes, since cost does not depend on their values.
"""
