# SPDX-License-Identifier: Apache-2.0
"""The systems that the paper compares with, and the rows of its Table 2, in one harness.

Written from facts in the papers, without their code. Letters: B clips, T frames at 25 fps, Dm and
De widths of speech and emotion features at 50 Hz, S samples, d width of a network.
"""
