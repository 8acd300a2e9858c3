# SPDX-License-Identifier: Apache-2.0
"""After the engine: guards in mm (lips, silence), smoothing, and the rest of the face by rule.

Blinks, gaze, head motion and breathing are procedural layers with rates from the literature; they
are not learned from data and nothing of the kind is claimed. Every layer is a pure function of the
seed, the absolute frame and the sound around it, so that chunks cut anywhere give the same frames.
"""
