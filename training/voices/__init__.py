# SPDX-License-Identifier: Apache-2.0
"""Recorded people whom the model never heard in training, and what its face does for them."""
