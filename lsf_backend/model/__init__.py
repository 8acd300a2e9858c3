# SPDX-License-Identifier: Apache-2.0
"""The paper's network in PyTorch: two speech streams, identity, HIFB fusion and a VQ-VAE decoder.

Letters: B clips, T frames at 25 fps, T50 frames at 50 Hz, N samples at 16 kHz, n_f fusion tokens,
d stream width, K codes of C numbers, R residual levels, G = d / C tokens per frame, S samples.
Importing this package does not import torch; its modules do.
"""
