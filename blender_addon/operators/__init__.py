# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons. Each operator is a thin shell around a function that the command line calls too."""
