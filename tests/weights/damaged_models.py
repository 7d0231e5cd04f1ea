"""Damaged weight files, and model files whose header, description or tensors make no sense."""

import itertools
import json
import struct

import numpy as np

JSON_VALUES = (
    *('"x"', "true", "null", "[]", "{}", "[[1]]", "NaN", "Infinity", "-1", "0", "0.5", "1e999"),
    *(str(10**30), "9" * 5000, "[" * 2000 + "]" * 2000, '"' + "x" * 10_000 + '"'),
)
"""What a field of JSON is set to."""
ONE = '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
FOUR_BYTES = b"\0\0\x80\x3f"


def mutated(whole, rng):
    """A mutation: bytes changed anywhere or near the start, a part cut out or doubled, the end gone."""
    kind = rng.integers(6)
    start = int(rng.integers(len(whole)))
    length = int(rng.integers(1, 64))
    if kind == 0:
        return whole[:start]
    if kind == 1:
        return whole[:start] + whole[start + length :]
    if kind == 2:
        return whole[: start + length] + whole[start:]
    damaged = bytearray(whole)
    reach = len(whole) if kind == 3 else min(len(whole), 512)
    for place in rng.integers(reach, size=int(rng.integers(1, 9))):
        damaged[place] = rng.integers(256) if kind < 5 else (0xFF, 0x7F, 0x00)[int(rng.integers(3))]
    return bytes(damaged)


def safetensors_parts(whole):
    """The header and the numbers of a safetensors file."""
    end = 8 + int.from_bytes(whole[:8], "little")
    return json.loads(whole[8:end]), whole[end:]


def safetensors_of(header, data):
    """A safetensors file with a header of bytes, text, or of what JSON can write."""
    text = header if isinstance(header, bytes | str) else json.dumps(header)
    text = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(text)) + text + data


def redescribed(whole, key):
    """A model file with every field of its description set to what has no meaning, or left out."""
    header, data = safetensors_parts(whole)
    described = json.loads(header["__metadata__"][key])
    for place in _places(described):
        for value in (*JSON_VALUES, None):
            text = _with(described, place, value)
            name = f"{'.'.join(map(str, place))} = {'(absent)' if value is None else value[:12]}"
            yield name, safetensors_of(header | {"__metadata__": {key: text}}, data)
    for text in (*JSON_VALUES, "", "{"):
        yield f"description = {text[:12]}", safetensors_of(header | {"__metadata__": {key: text}}, data)


def retyped(whole):
    """A model file with a tensor of another type, shape, place, name or value."""
    header, data = safetensors_parts(whole)
    name = next(it for it in header if it != "__metadata__" and header[it]["shape"])
    entry = header[name]
    start, stop = entry["data_offsets"]
    widths = {"I32": 4, "U32": 4, "BOOL": 1, "F16": 2, "BF16": 2, "F64": 8, "F8_E4M3": 1, "F32x": 4, 7: 4}
    for dtype, width in widths.items():
        size = (stop - start) // 4 * width
        moved = {other: _moved(it, stop, size - (stop - start)) for other, it in header.items()}
        moved[name] |= {"dtype": dtype, "data_offsets": [start, start + size]}
        yield f"type {dtype}", safetensors_of(moved, data[:start] + b"\1" * size + data[stop:])
    for value in (np.nan, np.inf, -np.inf):
        numbers = np.frombuffer(data, "<f4").copy()
        numbers[start // 4] = value
        yield f"value {value}", safetensors_of(header, numbers.tobytes())
    longer = [*entry["shape"][::-1], 1]
    for shape in ([-1], [2**62, 4], [2**33, 2**31], [1.5], "x", None, [True], [0] * 80, longer):
        yield f"shape {shape}", safetensors_of(header | {name: entry | {"shape": shape}}, data)
    for place in ([0, 2**62], [-4, 4], [4, 0], ["0", "4"], None, [0], [0.0, 4.0], [start + 4, stop + 4]):
        yield f"offsets {place}", safetensors_of(header | {name: entry | {"data_offsets": place}}, data)
    strange = "more\nlines \x1b[31m" + "x" * 1000
    yield "unknown", safetensors_of(header | {strange: {**entry, "shape": [0], "data_offsets": [0, 0]}}, data)
    yield "absent", safetensors_of({it: header[it] for it in header if it != name}, data)


def harmful_headers():
    """Headers of safetensors files that no library writes."""
    yield "twice", safetensors_of("{" + ONE + "," + ONE + "}", FOUR_BYTES)
    yield "nested", safetensors_of('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", b"")
    yield "deep objects", safetensors_of('{"a":' * 100_000 + "1" + "}" * 100_000, b"")
    yield "digits", safetensors_of("{" + ONE.replace("[1]", f"[{'9' * 5000}]") + "}", FOUR_BYTES)
    yield "list", safetensors_of("[1]", b"")
    yield "metadata numbers", safetensors_of('{"__metadata__":{"x":1},' + ONE + "}", FOUR_BYTES)
    yield "metadata list", safetensors_of('{"__metadata__":[1],' + ONE + "}", FOUR_BYTES)
    yield "no utf-8", safetensors_of(b'{"\xff\xfe":1}', b"")
    yield "surrogate", safetensors_of("{" + ONE.replace("a", "\\ud800", 1) + "}", FOUR_BYTES)
    yield "long length", struct.pack("<Q", 2**63) + b"{}"
    yield "length beyond", struct.pack("<Q", 99_000_000) + b"{}"
    yield "overlap", safetensors_of("{" + ONE + "," + ONE.replace('"a"', '"b"') + "}", FOUR_BYTES)
    yield "hole", safetensors_of("{" + ONE + "}", 2 * FOUR_BYTES)
    many = {f"t{number}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for number in range(300_000)}
    yield "many", safetensors_of(many, b"")


def _moved(entry, after, shift):
    """The entry of a tensor behind one that grew by `shift` bytes; metadata stay as they are."""
    if "data_offsets" not in entry:
        return entry
    return entry | {"data_offsets": [place + shift * (place >= after) for place in entry["data_offsets"]]}


def _places(described, above=()):
    """Every place of a description, of long lists the first."""
    inside = ()
    if isinstance(described, dict | list):
        inside = described.items() if isinstance(described, dict) else enumerate(described)
    for name, value in itertools.islice(inside, 8):
        yield (*above, name)
        yield from _places(value, (*above, name))


def _with(described, place, value):
    """The description with the JSON `value` at a place, or without what is there."""
    copy = json.loads(json.dumps(described))
    holder = copy
    for step in place[:-1]:
        holder = holder[step]
    if value is None:
        del holder[place[-1]]
        return json.dumps(copy)
    holder[place[-1]] = "@here@"
    return json.dumps(copy).replace('"@here@"', value)
