# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the panel, stored in the scene (``scene.lsf``)."""

import bpy

from .faces import BONES, MOST_EXPRESSIONS, N_EXPRESSION, SHAPES, FaceChoice
from .take_settings import TakeSettings


def _is_mesh(_: object, obj: bpy.types.Object) -> bool:
    return obj.type == "MESH"


def _strength(name: str, description: str, default: float = 1.0, most: float = 1.0) -> object:
    return bpy.props.FloatProperty(
        name=name,
        description=description,
        min=0.0,
        max=most,
        soft_max=1.0,
        default=default,
        subtype="FACTOR",
    )


def _millimetres(name: str, description: str, default: float, most: float) -> object:
    return bpy.props.FloatProperty(
        name=name, description=description, min=0.0, max=most, default=default, precision=2
    )


# Settings that are layers after the engine, by their names in the request.
LAYERS = ("closure", "silence", "blinks", "gaze", "head_motion", "breathing")
# A head is an object here; the layer that moves it has another name in the request.
LAYER_NAMES = {"head_motion": "head"}
THRESHOLDS = ("closed_mm", "near_mm", "silent_mm")

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
    face_model: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Face",
        description="The face that is added where no head is chosen",
        items=(
            ("head", "Bundled Head", "The head that comes with the add-on (CC0)"),
            ("flame", "FLAME File", "A face of your own FLAME file, under FLAME's licence"),
        ),
    )
    flame_file: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="FLAME File",
        description=(
            "Your .pkl or .npz from flame.is.tue.mpg.de: for a FLAME face, and to take a FLAME "
            "model's motion over to ARKit shapes"
        ),
        subtype="FILE_PATH",
    )
    rig: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Made of",
        items=(
            (SHAPES, "Shape Keys", "Everything is shape keys, the jaw as well"),
            (BONES, "Bones and Keys", "Jaw, neck and eye bones with the model's skinning"),
        ),
    )
    expressions: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Expressions",
        description="Expression shape keys of a FLAME face; takes move the first 50",
        min=N_EXPRESSION,
        max=MOST_EXPRESSIONS,
        default=N_EXPRESSION,
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
    head_motion: _strength(  # type: ignore[valid-type]
        "Head Motion",
        "Small turns and nods with the voice, by rule: neck and head bones, else the whole head",
        0.0,
        2.0,
    )
    breathing: _strength(  # type: ignore[valid-type]
        "Breathing", "Breath in the pauses, by rule: nostrils, and the head a little", 0.0, 2.0
    )
    closed_mm: _millimetres(  # type: ignore[valid-type]
        "Closed Lips", "Gap in mm, on the character's own mesh, of lips that meet", 0.2, 5.0
    )
    near_mm: _millimetres(  # type: ignore[valid-type]
        "Nearly Closed", "A dip of the gap below so many mm is taken for a closure", 1.0, 10.0
    )
    silent_mm: _millimetres(  # type: ignore[valid-type]
        "Shut in Silence", "Widest gap in mm while nobody speaks", 0.5, 10.0
    )
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


def face_choice(settings: LSFSettings) -> FaceChoice:
    """Give the face that would be added."""
    flame = _path(settings.flame_file) if settings.face_model == "flame" else ""
    return FaceChoice(flame, settings.rig, settings.expressions)


def _path(text: str) -> str:
    return bpy.path.abspath(text) if text.strip() else ""


def take_settings(settings: LSFSettings) -> TakeSettings:
    """Give the panel's settings as plain values, with absolute paths."""
    return TakeSettings(
        audio=_path(settings.audio),
        start_s=settings.start_s,
        end_s=settings.end_s or None,
        engine=settings.engine,
        seed=settings.seed,
        temperature=settings.temperature,
        finishing=_finishing(settings),
        identity=_path(settings.identity),
        face=face_choice(settings),
        flame=_path(settings.flame_file),
        name=settings.take_name,
        start_frame=float(settings.start_frame),
        set_range=settings.set_range,
    )


def _finishing(settings: LSFSettings) -> dict[str, float]:
    layers = {LAYER_NAMES.get(name, name): getattr(settings, name) for name in LAYERS}
    return {**layers, **{name: round(getattr(settings, name), 4) for name in THRESHOLDS}}
