# SPDX-License-Identifier: GPL-3.0-or-later
"""A character's map as the artist sees and edits it, kept on its mesh (``object.lsf_character``).

Plain properties without functions: Blender 4.2 crashes at its end over those of property groups.
"""

import bpy

COMPONENTS = (
    ("value", "Shape Key", "Value of a shape key"),
    ("turn_x_deg", "Nod", "Degrees about the axis to the character's left: opens a jaw"),
    ("turn_y_deg", "Turn", "Degrees about the axis upwards: positive to the character's left"),
    ("turn_z_deg", "Tilt", "Degrees about the axis forward"),
    ("move_x_mm", "Move Left", "Millimetres to the character's left"),
    ("move_y_mm", "Move Up", "Millimetres upwards"),
    ("move_z_mm", "Move Forward", "Millimetres forward"),
)


class LSFMapRow(bpy.types.PropertyGroup):
    """One row: clamp(offset + gain * sources) goes to a shape key or turns a bone."""

    enabled: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="On", description="Use this row", default=True
    )
    owner: bpy.props.PointerProperty(  # type: ignore[valid-type]
        name="Object", description="Mesh or armature that the row moves", type=bpy.types.Object
    )
    owner_name: bpy.props.StringProperty(options={"HIDDEN"})  # type: ignore[valid-type]
    target: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Key or Bone", description="Name of the shape key or bone that is moved"
    )
    component: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Moves", items=COMPONENTS
    )
    sources: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Source",
        description="ARKit names, each with a gain if it is not 1: jawOpen, mouthClose -1",
    )
    gain: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Gain", description="Times the sources", default=1.0, soft_min=-2.0, soft_max=2.0
    )
    offset: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Offset", description="Added to the sources"
    )
    low: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Lowest", description="Never below", default=0.0
    )
    high: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Highest", description="Never above", default=1.0
    )


class LSFCharacter(bpy.types.PropertyGroup):
    """The map of a character; without rows, names decide at every take."""

    rows: bpy.props.CollectionProperty(type=LSFMapRow)  # type: ignore[valid-type]
    active: bpy.props.IntProperty(name="Row")  # type: ignore[valid-type]
    solve: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Solve by Geometry",
        description=(
            "Find weights for this mesh's own shapes, whatever their names, that move it as the "
            "bundled head's would (a mesh in the head's topology, or in FLAME's)"
        ),
    )
    solve_keys: bpy.props.StringProperty(options={"HIDDEN"})  # type: ignore[valid-type]
    solve_file: bpy.props.StringProperty(options={"HIDDEN"})  # type: ignore[valid-type]
    solve_report: bpy.props.StringProperty(options={"HIDDEN"})  # type: ignore[valid-type]
    convention: bpy.props.StringProperty(default="manual")  # type: ignore[valid-type]
    note: bpy.props.StringProperty(name="Note")  # type: ignore[valid-type]


CLASSES = (LSFMapRow, LSFCharacter)
