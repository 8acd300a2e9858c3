# SPDX-License-Identifier: Apache-2.0
"""What both training stages read: features and motion in one cache, and batches of it."""
