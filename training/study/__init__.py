# SPDX-License-Identifier: Apache-2.0
"""A/B preference study (Figure 5): a page that works offline on a phone, and what its votes say."""
