# SPDX-License-Identifier: Apache-2.0
"""The corpus: synthesised speech with exact sound times, and a face for it by rules."""
