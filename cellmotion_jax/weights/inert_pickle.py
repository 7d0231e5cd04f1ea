"""Reading of state dicts in pickles without Python's ``pickle``: no code in the file can run.

A pickle is a program. This module reads the few instructions that ``torch.save`` writes for a state dict and
turns each into plain containers, numbers and descriptions of tensors. The names of Python objects in it are
compared with a short list and never looked up; a name or an instruction that is not listed ends the reading.
"""

from __future__ import annotations

import io
import pathlib
import pickletools
from typing import Any, NamedTuple

from cellmotion_jax.errors import InputError
from cellmotion_jax.weights.refusals import plain, quoted

MOST_INSTRUCTIONS = 2_000_000
"""Instructions of a pickle that are followed; each puts down one value at most, so that this limits time and
memory. The state dict of a network and its optimiser needs about 25 for each tensor."""
_MOST_AXES = 32
_MOST = 2**63


class Storage(NamedTuple):
    """A block of numbers of which tensors are views.

    Attributes:
        kind: Torch's class for it, such as ``FloatStorage``.
        key: Which of the file's runs it is.
        length: Number of elements.
    """

    kind: str
    key: str
    length: int


class Tensor(NamedTuple):
    """Position of a tensor's values in a storage; the reader of the storage checks that they exist.

    Attributes:
        storage: The numbers.
        offset: Index of the first, at least 0.
        shape: Size along each axis, at least 0.
        strides: Distance between neighbours along each axis, in elements, at least 0; as many as sizes.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Name(NamedTuple):
    """Name of a Python object; the object itself is never loaded."""

    text: str


class Ignored(NamedTuple):
    """An object that is not a tensor and not needed, such as a `torch.Size` or a NumPy number."""

    name: str


class Loaded(NamedTuple):
    """Contents of a pickle.

    Attributes:
        value: Dicts, lists (also for sets), tuples, numbers, text, bytes, `Tensor`, `Name` and `Ignored`.
        storages: All storages by key, also those that no tensor of interest looks into.
    """

    value: Any
    storages: dict[str, Storage]


# NumPy's types for torch's classes of storages; NumPy has no bfloat16, so its bits are kept.
DTYPES = {
    "BoolStorage": "u1",
    "ByteStorage": "u1",
    "CharStorage": "i1",
    "ShortStorage": "i2",
    "IntStorage": "i4",
    "LongStorage": "i8",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
}
_REBUILD_TENSOR = "torch._utils._rebuild_tensor_v2"
_REBUILD_PARAMETER = "torch._utils._rebuild_parameter"
_ORDERED_DICT = "collections.OrderedDict"
# Harmless things that training loops keep beside the weights; all become `Ignored`.
_IGNORED = (
    "torch.Size",
    "torch.device",
    "numpy.dtype",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "_codecs.encode",
    "__builtin__.set",
    *(f"torch.{name}" for name in ("float16", "bfloat16", "float32", "float64", "int32", "int64", "bool")),
)
_KNOWN = {
    _REBUILD_TENSOR,
    _REBUILD_PARAMETER,
    _ORDERED_DICT,
    *_IGNORED,
    *(f"torch.{kind}" for kind in DTYPES),
}


def load(stream: io.BytesIO | io.BufferedReader, *, path: pathlib.Path) -> Loaded:
    """Reads one pickle; the stream is then at its end.

    Args:
        stream: The pickle, of any protocol from 2 to 5.
        path: The file that it lies in, for messages.

    Returns:
        What it holds.

    Raises:
        InputError: If it names a Python object, uses an instruction that plain state dicts do not need, or
            has too many instructions.
        ValueError, LookupError, TypeError: If it is damaged.
    """
    reader = _Reader(path)
    for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if number >= MOST_INSTRUCTIONS:
            raise InputError(
                f"{path} has a pickle of more than {MOST_INSTRUCTIONS:,} instructions; save the state dict "
                "of the network alone, with torch.save(model.state_dict(), PATH)."
            )
        reader.follow(opcode.name, argument)
    return Loaded(reader.stack.pop(), reader.storages)


class _Reader:
    """The pickle machine's stack and memory, holding inert values only."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def follow(self, opcode: str, argument: Any) -> None:
        """Executes one instruction."""
        stack = self.stack
        match opcode:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode == "NEWTRUE")
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "LONG4" | "BINFLOAT":
                stack.append(argument)
            case "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8" | "BINBYTES" | "SHORT_BINBYTES":
                stack.append(argument)
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST" | "EMPTY_SET":
                # A set's members may be unhashable here, and no one looks into a list or a set.
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._popped(int(opcode[-1]))))
            case "TUPLE":
                stack.append(tuple(self._popped_to_mark()))
            case "MARK":
                self.marks.append(len(stack))
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "APPEND":
                self._extend(self._popped(1))
            case "APPENDS" | "ADDITEMS":
                self._extend(self._popped_to_mark())
            case "SETITEM":
                self._set_items(self._popped(2))
            case "SETITEMS":
                self._set_items(self._popped_to_mark())
            case "GLOBAL":
                stack.append(self._name(argument.replace(" ", ".", 1)))
            case "STACK_GLOBAL":
                stack.append(self._name(".".join(self._popped(2))))
            case "REDUCE":
                stack.append(self._called(*self._popped(2)))
            case "BUILD":
                # Attributes of the object below, such as the versions that an OrderedDict of torch carries.
                self._popped(1)
            case "BINPERSID":
                stack.append(self._storage(stack.pop()))
            case _:
                raise InputError(
                    f"{self.path} holds the pickle instruction {opcode}, which plain state dicts do not "
                    "need; save one with torch.save(model.state_dict(), PATH)."
                )

    def _popped(self, count: int) -> list[Any]:
        items = self.stack[-count:]
        if len(items) < count:
            raise ValueError("its pickle takes more than it has put down")
        del self.stack[-count:]
        return items

    def _popped_to_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise TypeError("its pickle appends to what is no list")
        self.stack[-1].extend(items)

    def _set_items(self, items: list[Any]) -> None:
        mapping = self.stack[-1]
        if not isinstance(mapping, dict):
            raise TypeError("its pickle sets items of what is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | float | bool | None) and not (type(key) is int and abs(key) < _MOST):
                raise TypeError("its pickle has keys that are neither text nor numbers")
            if key in mapping:
                shown = quoted(key) if isinstance(key, str) else key
                raise InputError(f"{self.path} holds {shown} twice; which one counts is unclear.")
            mapping[key] = value

    def _name(self, text: str) -> Name:
        if text not in _KNOWN:
            raise InputError(
                f"{self.path} names the Python object {plain(text)}, which is not run; right is a plain "
                "state dict of integers and real numbers, saved with torch.save(model.state_dict(), PATH)."
            )
        return Name(text)

    def _called(self, function: Any, arguments: Any) -> Any:
        """What a call in the pickle stands for."""
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise TypeError("its pickle calls what is no function")
        if function.text == _REBUILD_TENSOR:
            return _tensor(*arguments[:4])
        if function.text == _REBUILD_PARAMETER:
            return arguments[0]
        if function.text == _ORDERED_DICT and not arguments:
            return {}
        if function.text not in _IGNORED:
            raise TypeError(f"its pickle calls {function.text} in an unknown way")
        return Ignored(function.text)

    def _storage(self, identity: Any) -> Storage:
        """A storage from ``("storage", class, key, device, count)``, with None at the end in older files."""
        tag, kind, key, _device, count, *view = identity
        names_one = isinstance(kind, Name) and isinstance(key, str) and _is_count(count)
        if tag != "storage" or not names_one or any(view):
            raise TypeError("its pickle refers to something other than the numbers of a tensor")
        storage = Storage(kind.text.removeprefix("torch."), key, count)
        if storage.kind not in DTYPES or self.storages.setdefault(key, storage) != storage:
            raise TypeError("its pickle describes the numbers of a tensor in two ways")
        return storage


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    if not isinstance(storage, Storage) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise TypeError("its pickle describes a tensor without numbers, shape or strides")
    # Nothing of them is shown or hashed: tuples within tuples can be exponentially longer than the file.
    if len(shape) > _MOST_AXES or not all(map(_is_count, (offset, *shape, *strides))):
        raise TypeError("its pickle describes a tensor whose shape or strides are no counts")
    if len(shape) != len(strides):
        raise TypeError(f"its pickle describes a tensor of {len(shape)} axes and {len(strides)} strides")
    return Tensor(storage, offset, shape, strides)


def _is_count(number: Any) -> bool:
    return type(number) is int and 0 <= number < _MOST
