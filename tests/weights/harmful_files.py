"""Weight files of other libraries that would fill the memory, take for ever, or refer elsewhere."""

import io
import struct
import zipfile

import h5py
import numpy as np

STATE = b"}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n("
STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0" + b"0X\x03\0\0\0cpuK\x04tQ"
"""A storage of four numbers, the file's ``0``."""
NESTED = b")q\x00" + b"h\x00h\x00\x86q\x00" * 40
"""A tuple of two tuples of two tuples ...: a hundred bytes that stand for a million million empty tuples."""
LONG = b"\x8b" + struct.pack("<i", 100_000) + b"\x7f" * 100_000
START_OF_OLD_FILES = (
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\r\0\0\0little_endian\x88s."
)


def harmful_pickles():
    """Pickles that would fill the memory or take for ever."""
    yield "doubled tuples", NESTED
    yield "shape of doubled tuples", NESTED + STATE + STORAGE + b"K\x00h\x00K\x01\x85tRs"
    yield "shape with doubled tuples", NESTED + STATE + STORAGE + b"K\x00h\x00\x85K\x01\x85tRs"
    yield "key of doubled tuples", NESTED + b"}h\x00K\x01s"
    yield "storage of doubled tuples", NESTED + STATE + b"h\x00QK\x00K\x01\x85K\x01\x85tRs"
    key = STORAGE.replace(b"X\x01\0\0\0" + b"0", b"h\x00")
    yield "storage key of doubled tuples", NESTED + STATE + key + b"K\x00K\x01\x85K\x01\x85tRs"
    yield "deep tuples", b")" + b"\x85" * 1_000_000
    yield "deep lists", b"]q\0" + b"]h\0aq\0" * 300_000
    yield "many dicts", b"(" + b"}" * 3_000_000 + b"t"
    yield "many marks", b"(" * 3_000_000
    yield "large memo", b"N" + b"r\xff\xff\xff\x7f" * 1000
    yield "long string", b"\x8d" + struct.pack("<Q", 2**62) + b"x"
    yield "string of four GiB", b"X\xff\xff\xff\xffx"
    yield "long number", b"\x8b" + struct.pack("<i", 2_000_000) + b"\x7f" * 2_000_000
    yield "negative length", b"\x8b\xff\xff\xff\xff"
    yield "shape of long numbers", STATE + STORAGE + b"K\x00(" + LONG * 30 + b"t(" + LONG * 30 + b"ttRs"
    yield "key of a long number", b"}(" + LONG + b"K\x01" + LONG + b"K\x02u"
    yield "name as long", b"c" + b"x" * 1_000_000 + b"\n" + b"y" * 1_000_000 + b"\n"
    fraction = STORAGE.replace(b"K\x04", b"G" + struct.pack(">d", 4.0))
    yield "a fraction of numbers", STATE + fraction + b"K\x00K\x01\x85K\x01\x85tRs"
    yield "many axes", STATE + STORAGE + b"K\x00(" + b"K\x01" * 200 + b"t(" + b"K\x01" * 200 + b"ttRs"


def pickle_in_archive(instructions):
    """A file of torch 1.6 or later."""
    return packed([("archive/data.pkl", b"\x80\x04" + instructions + b"."), ("archive/data/0", bytes(16))])


def pickle_in_old_file(instructions):
    """A file of torch before 1.6."""
    return START_OF_OLD_FILES + b"\x80\x04" + instructions + b"."


def packed(members, compression=zipfile.ZIP_DEFLATED):
    """A zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return stream.getvalue()


def array_file(array):
    """An ``.npy`` file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


GOOD = array_file(np.ones(3, np.float32))


def harmful_archives():
    """Zip archives that announce, hide or repeat what they hold."""
    fifty = packed([(f"{number}.npy", GOOD) for number in range(50)], zipfile.ZIP_STORED)
    two_sizes = struct.pack("<II", len(GOOD), len(GOOD))
    yield "zeros", packed([("a.npy", GOOD), ("b.npy", bytes(300_000_000))])
    yield "overlapping members", _all_at_the_first(fifty)
    yield "sizes that lie", fifty.replace(two_sizes, struct.pack("<II", len(GOOD), 2**31))
    yield "list of members alone", _long_directory(200_000)
    yield "bzip2", packed([("a.npy", GOOD)], zipfile.ZIP_BZIP2)
    yield "lzma", packed([("a.npy", GOOD)], zipfile.ZIP_LZMA)
    yield "encrypted", _encrypted(packed([("a.npy", GOOD)]))
    yield "long name", packed([("n" * 60_000 + ".npy", GOOD), ("line\nfeed\x1b.npy", b"text")])
    yield "zip64", packed([("a.npy", GOOD)]).replace(struct.pack("<I", len(GOOD)), b"\xff" * 4)
    for name, header in ARRAY_HEADERS.items():
        text = (header if header.startswith("[") else f"{{{header}}}").encode() + b"\n"
        for version, size in ((1, "<H"), (2, "<I"), (3, "<I"), (9, "<I")):
            member = b"\x93NUMPY" + bytes([version, 0]) + struct.pack(size, len(text)) + text + bytes(8)
            yield f"{name}, version {version}", packed([("a.npy", member)])


ARRAY_HEADERS = {
    "huge shape": "'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), ",
    "large shape": "'descr': '<f4', 'fortran_order': False, 'shape': (300000000000,), ",
    "negative shape": "'descr': '<f4', 'fortran_order': False, 'shape': (-1,), ",
    "objects": "'descr': '|O', 'fortran_order': False, 'shape': (1,), ",
    "structure": "'descr': [('a', '<f4'), ('b', '|O')], 'fortran_order': False, 'shape': (1,), ",
    "sub-array": "'descr': ('<f4', (2147483647,)), 'fortran_order': False, 'shape': (1,), ",
    "no width": "'descr': '|V0', 'fortran_order': False, 'shape': (5,), ",
    "complex": "'descr': '<c8', 'fortran_order': False, 'shape': (1,), ",
    "times": "'descr': '<M8[ns]', 'fortran_order': False, 'shape': (1,), ",
    "unknown type": "'descr': 'zzz', 'fortran_order': False, 'shape': (1,), ",
    "deep": "'descr': '<f4', 'fortran_order': False, 'shape': " + "(" * 3000 + ")" * 3000 + ", ",
    "minus": "'descr': '<f4', 'fortran_order': False, 'shape': (" + "-" * 8000 + "1,), ",
    "bytes behind": "'descr': '<f4', 'fortran_order': False, 'shape': (1,), ",
    "no dict": "[1, 2]",
    "escape": r"'descr': '\d', 'fortran_order': False, 'shape': (1,), ",
}


def harmful_hdf5(folder):
    """HDF5 files that announce more than they hold, refer elsewhere, or hold no numbers."""
    kernels = {
        "never written": {"shape": (2**20, 2**20), "dtype": "f4", "chunks": True},
        "zeros": {"data": np.zeros(2**26 + 1, "f4"), "compression": "gzip", "compression_opts": 9},
        "text": {"data": "text"},
        "objects": {"shape": (3,), "dtype": h5py.vlen_dtype(np.float32)},
        "records": {"data": np.zeros(2, [("a", "f4")])},
        "complex": {"data": np.zeros(2, "c8")},
        "empty": {"data": h5py.Empty("f4")},
        "long double": {"data": np.zeros((2, 2), np.longdouble)},
    }
    for name, settings in kernels.items():
        yield name, _keras(folder, lambda group, settings=settings: group.create_dataset("0", **settings))
    for name, link in (
        ("external link", h5py.ExternalLink("/etc/passwd", "/x")),
        ("soft link", h5py.SoftLink("/layers/dense/vars/1")),
    ):
        yield name, _keras(folder, lambda group, link=link: group.__setitem__("0", link))
    yield "configuration nested", _old_keras(folder, config='{"config":' + "[" * 20_000 + "]" * 20_000 + "}")
    yield "configuration of text", _old_keras(folder, config="{")
    yield "configuration of a list", _old_keras(folder, config="[1]")
    yield "configuration of digits", _old_keras(folder, config='{"config":[' + "9" * 5000 + "]}")
    yield "numbers as names", _old_keras(folder, layers=np.arange(3))
    yield "absent layer", _old_keras(folder, layers=[b"stem", b"other"])
    yield "no UTF-8", _old_keras(folder, layers=[b"\xff\xfe"])
    yield "a path as name", _old_keras(folder, layers=[b"/stem", b"stem/..", b"."])
    yield "lines in a name", _old_keras(folder, weights=[b"stem/ker\nnel:0"])


def _keras(folder, add_kernel):
    path = folder / "made.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/dense/vars")
        group.attrs["name"] = "stem"
        add_kernel(group)
        group["1"] = np.ones(2, np.float32)
    return path.read_bytes()


def _old_keras(folder, *, config=None, layers=(b"stem",), weights=(b"stem/kernel:0",)):
    path = folder / "made.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array(layers)
        if config is not None:
            file.attrs["model_config"] = config
        stem = file.create_group("stem")
        stem.attrs["weight_names"] = np.array(weights)
        stem["stem/kernel:0"] = np.ones((2, 2), np.float32)
    return path.read_bytes()


def _all_at_the_first(whole):
    """An archive whose members all lie where the first does, under their own names."""
    damaged, place = bytearray(whole), 0
    while (place := damaged.find(b"PK\x01\x02", place)) >= 0:
        damaged[place + 42 : place + 46] = bytes(4)
        place += 4
    return bytes(damaged)


def _encrypted(whole):
    damaged = bytearray(whole)
    damaged[6] |= 1
    damaged[damaged.find(b"PK\x01\x02") + 8] |= 1
    return bytes(damaged)


def _long_directory(count):
    """An archive that is a list of members and nothing else."""
    one = packed([("0000000.npy", GOOD)], zipfile.ZIP_STORED)
    start, end = one.find(b"PK\x01\x02"), one.find(b"PK\x05\x06")
    entries = b"".join(
        one[start:end].replace(b"0000000.npy", b"%07d.npy" % number) for number in range(count)
    )
    counts = (count % 65535, count % 65535, len(entries), start, 0)
    return one[:start] + entries + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, *counts)
