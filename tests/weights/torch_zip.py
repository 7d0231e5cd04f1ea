"""Writes files as ``torch.save`` does, without torch, for machines that do not have it.

Torch's own objects are stood for by their names, which a pickler of ours writes where Python's would look
the objects up.
"""

import collections
import io
import pathlib
import pickle
import zipfile
from typing import NamedTuple

import numpy as np

KINDS = {
    "bool": "BoolStorage",
    "uint8": "ByteStorage",
    "int8": "CharStorage",
    "int16": "ShortStorage",
    "int32": "IntStorage",
    "int64": "LongStorage",
    "float16": "HalfStorage",
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
}


class Global(NamedTuple):
    """A Python object by name; it can be called in a pickle, not here."""

    module: str
    name: str

    def __call__(self):
        raise AssertionError(f"{self} was called")


class Storage(NamedTuple):
    """What torch calls a storage; `kind` is one of `KINDS`, or ``BFloat16Storage`` over uint16."""

    kind: str
    key: str
    count: int


class Tensor(NamedTuple):
    """A look into a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class TorchFile:
    """Storages for tensors, and the file that holds both."""

    def __init__(self, byteorder: str = "little"):
        self.byteorder = byteorder
        self.runs: dict[str, bytes] = {}

    def storage(self, numbers, kind=None) -> Storage:
        key = str(len(self.runs))
        order = "<" if self.byteorder == "little" else ">"
        self.runs[key] = numbers.astype(numbers.dtype.newbyteorder(order)).tobytes()
        return Storage(kind or KINDS[numbers.dtype.name], key, numbers.size)

    def tensor(self, array, kind=None) -> Tensor:
        array = np.ascontiguousarray(array).reshape(np.shape(array))
        strides = tuple(stride // array.itemsize for stride in array.strides)
        return Tensor(self.storage(array, kind), 0, array.shape, strides)

    def write(self, path: pathlib.Path, value, *, protocol: int = 2) -> None:
        """The zip archive of torch 1.6 and later."""
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", _pickled(value, protocol))
            archive.writestr("archive/byteorder", self.byteorder)
            for key, run in self.runs.items():
                archive.writestr(f"archive/data/{key}", run)
            archive.writestr("archive/version", "3\n")

    def write_legacy(self, path: pathlib.Path, value) -> None:
        """The row of pickles of earlier versions."""
        system = {"protocol_version": 1001, "little_endian": self.byteorder == "little"}
        parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, system)]
        parts += [_pickled(value, 2, legacy=True), pickle.dumps(list(self.runs), 2)]
        storages = {tensor.storage.key: tensor.storage for tensor in value.values()}
        for key, run in self.runs.items():
            parts += [storages[key].count.to_bytes(8, "little"), run]
        path.write_bytes(b"".join(parts))


def _pickled(value, protocol: int, *, legacy: bool = False) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, protocol, legacy).dump(value)
    return stream.getvalue()


class _Pickler(pickle._Pickler):
    def __init__(self, stream, protocol, legacy):
        super().__init__(stream, protocol)
        self.legacy = legacy

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        identity = ("storage", Global("torch", obj.kind), obj.key, "cpu", obj.count)
        return (*identity, None) if self.legacy else identity

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Tensor):
            arguments = (*obj, False, collections.OrderedDict())
            self.save_reduce(Global("torch._utils", "_rebuild_tensor_v2"), arguments)
        elif isinstance(obj, Global) and self.proto >= 4:
            super().save(obj.module)
            super().save(obj.name)
            self.write(pickle.STACK_GLOBAL)
        elif isinstance(obj, Global):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        else:
            super().save(obj, save_persistent_id)
