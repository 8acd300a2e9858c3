# SPDX-License-Identifier: Apache-2.0
"""The paper's Tables 1 and 2 and Figure 4: train what is missing, score it, write it down."""
