# SPDX-License-Identifier: Apache-2.0
"""Engines: from sound to motion. ``base`` says what one is, ``registry`` finds them by name."""
