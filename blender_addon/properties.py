# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the panel, stored in the scene (``scene.lsf``)."""

import bpy

from .take import TakeSettings


def _is_mesh(_: object, obj: bpy.types.Object) -> bool:
    return obj.type == "MESH"


def _strength(name: str, description: str) -> object:
    return bpy.props.FloatProperty(
        name=name, description=description, min=0.0, max=1.0, default=1.0, subtype="FACTOR"
    )


# Settings that are layers after the engine, by their names in the request.
LAYERS = ("closure", "silence", "blinks", "gaze")

# 4.2 crashes at its end over a Python function that belonged to a property group: no poll function
# there, and no methods.
MESHES_ONLY = {"poll": _is_mesh} if bpy.app.version >= (4, 3, 0) else {}


class LSFSettings(bpy.types.PropertyGroup):
    """What the next take is made from, and what the last one said."""

    audio: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Sound",
        description="Speech: wav, flac, mp3, ogg, m4a, or the sound of an mp4",
        subtype="FILE_PATH",
    )
    head: bpy.props.PointerProperty(  # type: ignore[valid-type]
        name="Head",
        description=(
            "Mesh with ARKit shape keys. Empty: the selected meshes, or a new bundled head"
        ),
        type=bpy.types.Object,
        **MESHES_ONLY,
    )
    identity: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Identity",
        description="Optional .npy file with up to 300 shape numbers (betas) of the speaker's face",
        subtype="FILE_PATH",
    )
    engine: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Engine",
        items=(
            ("compact", "Compact", "Bundled model, any CPU, offline (weights CC BY 4.0)"),
            ("lsf", "LSF", "The paper's model, under your own Python (see the preferences)"),
        ),
    )
    seed: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Seed", description="Another seed, another take (with variation)", min=0
    )
    temperature: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Variation",
        description="0 gives the same take every time, 1 the natural amount of variation",
        min=0.0,
        max=2.0,
        soft_max=1.0,
        default=0.0,
        subtype="FACTOR",
    )
    closure: _strength(  # type: ignore[valid-type]
        "Lips Meet", "Bring the lips together where they nearly meet, as on p, b and m"
    )
    silence: _strength("Shut in Silence", "Keep the mouth shut in pauses")  # type: ignore[valid-type]
    blinks: _strength("Blinks", "Blinks by rule, as often as people blink")  # type: ignore[valid-type]
    gaze: _strength("Gaze", "Looks away and small eye movements, by rule")  # type: ignore[valid-type]
    take_name: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Take", description="Name of the new Action. Empty: named after the sound"
    )
    start_frame: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Start Frame", description="Scene frame at which the sound begins", default=1
    )
    start_s: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="From", description="Seconds of the sound to skip", min=0.0, unit="TIME_ABSOLUTE"
    )
    end_s: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="To",
        description="Second of the sound at which to stop; 0 is its end",
        min=0.0,
        unit="TIME_ABSOLUTE",
    )
    set_range: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Set Scene Range", description="Fit the scene's frames to the take", default=True
    )
    report: bpy.props.StringProperty(options={"HIDDEN"})  # type: ignore[valid-type]
    report_ok: bpy.props.BoolProperty(options={"HIDDEN"})  # type: ignore[valid-type]


def take_settings(settings: LSFSettings) -> TakeSettings:
    """Give the panel's settings as plain values, with absolute paths."""
    return TakeSettings(
        audio=bpy.path.abspath(settings.audio) if settings.audio.strip() else "",
        start_s=settings.start_s,
        end_s=settings.end_s or None,
        engine=settings.engine,
        seed=settings.seed,
        temperature=settings.temperature,
        finishing={name: getattr(settings, name) for name in LAYERS},
        identity=bpy.path.abspath(settings.identity) if settings.identity.strip() else "",
        name=settings.take_name,
        start_frame=float(settings.start_frame),
        set_range=settings.set_range,
    )
