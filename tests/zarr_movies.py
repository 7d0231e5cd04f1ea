"""Movies in OME-Zarr."""

import json

UNITS = {"t": "minute", "y": "micrometer", "x": "micrometer"}


def zarr_metadata(axes, *, version, steps=None, names=("DAPI", "GFP")):
    described = [
        {"name": axis, "type": "space", **({"unit": UNITS[axis]} if axis in UNITS else {})} for axis in axes
    ]
    scale = [
        {
            "type": "scale",
            "scale": steps or [{"t": 5.0, "y": 0.65, "x": 0.65}.get(axis, 1.0) for axis in axes],
        }
    ]
    image = {
        "multiscales": [
            {
                "version": version,
                "axes": described,
                "datasets": [{"path": "0", "coordinateTransformations": scale}],
            }
        ],
        "omero": {"channels": [{"label": name} for name in names]},
    }
    return image if version == "0.4" else {"ome": {"version": version, **image}}


def write_zarr(path, images, axes, *, version="0.4", chunks=None, **options):
    """Writes an image of version 0.4 (Zarr 2) or 0.5 (Zarr 3)."""
    path.mkdir()
    described = zarr_metadata(axes, version=version, **options)
    if version == "0.4":
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        (path / ".zattrs").write_text(json.dumps(described))
    else:
        group = {"zarr_format": 3, "node_type": "group", "attributes": described}
        (path / "zarr.json").write_text(json.dumps(group))
    import tensorstore

    spec = {"driver": "zarr" if version == "0.4" else "zarr3", "kvstore": f"file://{path / '0'}/"}
    array = tensorstore.open(
        spec,
        create=True,
        dtype=images.dtype.name,
        shape=images.shape,
        chunk_layout=tensorstore.ChunkLayout(chunk_shape=chunks or (1,) * (images.ndim - 2) + (8, 8)),
    ).result()
    array.write(images).result()
    return path
