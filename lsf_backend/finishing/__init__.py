# SPDX-License-Identifier: Apache-2.0
"""After the engine: guards in mm (lips, silence), smoothing, and the rest of the face by rule.

A FLAME face has smoothing, the guards, gaze, head motion and breathing; no coefficient of it is a
blink. The guards know no phonemes: they finish what the motion nearly does, in mm on the mesh.

Blinks, gaze, head motion and breathing are procedural layers with rates from the literature; they
are not learned from data and nothing of the kind is claimed. Every layer is a pure function of the
seed, the absolute frame and the sound around it, so that chunks cut anywhere give the same frames.
"""
