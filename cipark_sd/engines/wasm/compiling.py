"""A program's module for wasm32, two runs in a vector: compiled by LLVM, and made one that can be instantiated.

In place of the C library it has LLVM assembly. ``fmod`` is exact, so every right way gives the same bits.

No linker is needed. An object of one module refers to its own functions by the indices that they have in it, and to its
numbers by their places from address 0 on; LLVM has written these already. What a linker would do is to confirm the
former and to move the latter. So the sections that only linkers read are dropped, the numbers are put behind the first
bytes of the memory, the memory that the object imports becomes the module's own, and ``run`` and ``memory`` are
exported. Each relocation is checked against what stands in its place, and whatever else an object may hold (tables,
globals, imports) is refused, so that a change in LLVM cannot pass unseen.

Sources: WebAssembly Core Specification 2.0, chapter 5 (binary format); WebAssembly tool conventions, Linking.md.
"""

import math
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from cipark_sd.compiler.program import Program
from cipark_sd.engines.native.elementary import number
from cipark_sd.engines.native.kernel import kernel
from cipark_sd.engines.native.object_code import TUNING, object_code

#: WebAssembly's vectors have 128 bits.
LANES = 2
TRIPLE = "wasm32-unknown-unknown"
#: Vectors are in every browser since 2023.
FEATURES = "+simd128"
MAGIC = b"\0asm\x01\0\0\0"
_CUSTOM, _TYPE, _IMPORT, _FUNCTION, _MEMORY, _EXPORT, _CODE, _DATA, _DATA_COUNT = 0, 1, 2, 3, 5, 7, 10, 11, 12
#: Kinds of what is imported and exported.
_IS_FUNCTION, _IS_MEMORY = b"\0", b"\2"
_MEMORY_IMPORT = ("env", "__linear_memory")
_SYMBOL_TABLE = 8
_UNDEFINED, _EXPLICIT_NAME = 0x10, 0x40
_OF_FUNCTION, _OF_DATA = 0, 1
#: Relocations: R_WASM_FUNCTION_INDEX_LEB, and R_WASM_MEMORY_ADDR_LEB and _SLEB, the address of a number.
_FUNCTION_INDEX, _ADDRESS, _SIGNED_ADDRESS = 0, 3, 4
#: A relocated number takes five bytes.
_PADDED = 5
#: Where a module's numbers begin; the first bytes stay empty, so that no address is 0.
FIRST = 16
PAGE = 2**16
_I32_CONST, _END = 0x41, b"\x0b"
_LOCK = threading.Lock()
_COMPILED: dict[tuple[str, bool], tuple[bytes, int, int]] = {}


def compiled(program: Program, *, skips: bool = False) -> tuple[bytes, int, int]:
    """The module of a program, made once; with ``skips`` no time goes into powers of 1 and 0.

    Parameters
    ----------
    skips : bool
        No time goes into powers of 1 and 0.

    Returns
    -------
    module : bytes
        It exports ``run`` and ``memory``.
    workspace : int
        The vectors that a block of runs needs.
    free : int
        The address from which on its memory is free.
    """
    key = (program.digest, skips)
    with _LOCK:
        if key not in _COMPILED:
            machine, identity = _machine()
            assembly, workspace, effort = kernel(program, LANES, DEFINITIONS, skips=skips)
            # a page runs its module many times: some optimisation always pays
            module, free = linked(object_code(assembly, max(effort, 1), machine, identity))
            _COMPILED[key] = module, workspace, free
        return _COMPILED[key]


@cache
def _machine() -> tuple[Any, str]:
    import llvmlite
    from llvmlite import binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(TRIPLE).create_target_machine(cpu="generic", features=FEATURES, opt=2)
    return machine, f"{llvmlite.__version__} {llvm.llvm_version_info} {TRIPLE} {FEATURES} {TUNING}"


_SIGN, _SIZE, _INFINITE = -(2**63), 2**63 - 1, 0x7FF << 52
_HIDDEN, _FRACTION = 1 << 52, (1 << 52) - 1


def _parts(name: str) -> str:
    """Significand with its first bit in place 52, and exponent, of a number's size; a subnormal one is moved up."""
    return f"""
  %exponent0_{name} = lshr i64 %size_{name}, 52
  %fraction_{name} = and i64 %size_{name}, {_FRACTION}
  %subnormal_{name} = icmp eq i64 %exponent0_{name}, 0
  %zeros_{name} = call i64 @llvm.ctlz.i64(i64 %fraction_{name}, i1 false)
  %room_{name} = sub i64 %zeros_{name}, 11
  %up_{name} = select i1 %subnormal_{name}, i64 %room_{name}, i64 0
  %hidden_{name} = select i1 %subnormal_{name}, i64 0, i64 {_HIDDEN}
  %whole_{name} = or i64 %fraction_{name}, %hidden_{name}
  %significand_{name} = shl i64 %whole_{name}, %up_{name}
  %lower_{name} = sub i64 1, %up_{name}
  %exponent_{name} = select i1 %subnormal_{name}, i64 %lower_{name}, i64 %exponent0_{name}
"""


#: The remainder of a division, with the sign of ``x``: a long division in binary.
FMOD = f"""
define internal double @cipark_fmod(double %x, double %y) noinline nounwind {{
  %bits_x = bitcast double %x to i64
  %bits_y = bitcast double %y to i64
  %sign = and i64 %bits_x, {_SIGN}
  %size_x = and i64 %bits_x, {_SIZE}
  %size_y = and i64 %bits_y, {_SIZE}
  %by_zero = icmp eq i64 %size_y, 0
  %by_nan = icmp ugt i64 %size_y, {_INFINITE}
  %unbounded = icmp uge i64 %size_x, {_INFINITE}
  %no_divisor = or i1 %by_zero, %by_nan
  %undefined = or i1 %no_divisor, %unbounded
  br i1 %undefined, label %nan, label %numbers
numbers:
  %smaller = icmp ult i64 %size_x, %size_y
  br i1 %smaller, label %same, label %divide
divide:{_parts("x")}{_parts("y")}
  br label %digit
digit:
  %left = phi i64 [ %significand_x, %divide ], [ %doubled, %next ]
  %exponent = phi i64 [ %exponent_x, %divide ], [ %less, %next ]
  %difference = sub i64 %left, %significand_y
  %fits = icmp sge i64 %difference, 0
  %rest = select i1 %fits, i64 %difference, i64 %left
  %more = icmp sgt i64 %exponent, %exponent_y
  br i1 %more, label %next, label %last
next:
  %doubled = shl i64 %rest, 1
  %less = sub i64 %exponent, 1
  br label %digit
last:
  %nothing = icmp eq i64 %rest, 0
  br i1 %nothing, label %zero, label %scale
scale:
  %zeros = call i64 @llvm.ctlz.i64(i64 %rest, i1 false)
  %up = sub i64 %zeros, 11
  %significand = shl i64 %rest, %up
  %scaled = sub i64 %exponent_y, %up
  %normal = icmp sgt i64 %scaled, 0
  %fraction = and i64 %significand, {_FRACTION}
  %placed = shl i64 %scaled, 52
  %as_normal = or i64 %fraction, %placed
  %down0 = sub i64 1, %scaled
  %down = select i1 %normal, i64 0, i64 %down0
  %as_subnormal = lshr i64 %significand, %down
  %size = select i1 %normal, i64 %as_normal, i64 %as_subnormal
  %bits = or i64 %size, %sign
  %result = bitcast i64 %bits to double
  ret double %result
zero:
  %signed_zero = bitcast i64 %sign to double
  ret double %signed_zero
same:
  ret double %x
nan:
  ret double {number(math.nan)}
}}
"""


#: By the name of the function of the C library that each stands for.
DEFINITIONS = {"fmod": f"{FMOD}\ndeclare i64 @llvm.ctlz.i64(i64, i1)"}


class UnknownObject(RuntimeError):
    """An object file with something in it that this module does not know; another version of LLVM may write such."""


def linked(obj: bytes, exported: str = "run") -> tuple[bytes, int]:
    """The module of an object file, with a memory of its own, and the address from which on that memory is free.

    Parameters
    ----------
    obj : bytes
        An object file of one module.
    exported : str
        The function that a host calls.

    Returns
    -------
    free : int
        A multiple of 16.

    Raises
    ------
    UnknownObject
    """
    if not obj.startswith(MAGIC):
        raise UnknownObject("it does not begin as a module of version 1 does")
    parts = list(sections(obj))
    known = (_CUSTOM, _TYPE, _IMPORT, _FUNCTION, _CODE, _DATA, _DATA_COUNT)
    unknown = [kind for kind, _ in parts if kind not in known]
    if unknown:
        raise UnknownObject(f"it has sections of the kinds {unknown}")
    custom = {name: content for kind, body in parts if kind == _CUSTOM for name, content in [_named(body)]}
    bodies = dict(parts)
    segments = list(_segments(bodies.get(_DATA, leb(0))))
    symbols = list(_symbols(custom.get("linking", b""), [start for start, _ in segments]))
    for name, body in custom.items():
        if name.startswith("reloc."):
            place, changed = _relocated(body, parts, symbols)
            if parts[place][0] != _CODE:
                raise UnknownObject(f"it has relocations in a section of kind {parts[place][0]}")
            bodies[_CODE] = changed
    _check_imports(bodies.get(_IMPORT, leb(0)))
    places = [place for kind, name, place in symbols if kind == _OF_FUNCTION and name == exported]
    if not places:
        raise UnknownObject(f"it has no function {exported!r}")
    end = FIRST + max((start + len(content) for start, content in segments), default=0)
    made = {
        _TYPE: bodies[_TYPE],
        _FUNCTION: bodies[_FUNCTION],
        # one memory of any size that holds the numbers
        _MEMORY: _vector([b"\0" + leb(-(-end // PAGE))]),
        _EXPORT: _vector([text(exported) + _IS_FUNCTION + leb(places[0]), text("memory") + _IS_MEMORY + leb(0)]),
        _CODE: bodies[_CODE],
    }
    if segments:
        made[_DATA] = _vector([_segment(FIRST + start, content) for start, content in segments])
    return MAGIC + b"".join(_section(kind, body) for kind, body in made.items()), -(-end // 16) * 16


def _segment(start: int, content: bytes) -> bytes:
    return leb(0) + bytes([_I32_CONST]) + _signed_leb(start) + _END + leb(len(content)) + content


def _segments(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Where the numbers of the object begin, and their bytes."""
    reader = Reader(body)
    for _ in range(reader.number()):
        if reader.number() != 0 or reader.take(1)[0] != _I32_CONST:
            raise UnknownObject("its numbers have no fixed place")
        start = reader.signed()
        if reader.take(1) != _END:
            raise UnknownObject("its numbers have no fixed place")
        yield start, reader.take(reader.number())


def with_description(module: bytes, name: str, content: bytes) -> bytes:
    """The module with a custom section, which a host may read and an engine leaves out.

    Parameters
    ----------
    name : str
        Of the section.
    """
    return module + _section(_CUSTOM, text(name) + content)


def sections(module: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each section, in order."""
    reader = Reader(module, len(MAGIC))
    while not reader.ended:
        kind = reader.take(1)[0]
        yield kind, reader.take(reader.number())


def _named(body: bytes) -> tuple[str, bytes]:
    reader = Reader(body)
    name = reader.text()
    return name, body[reader.at :]


def _check_imports(body: bytes) -> None:
    reader = Reader(body)
    for _ in range(reader.number()):
        name, kind = (reader.text(), reader.text()), reader.take(1)
        if (name, kind) != (_MEMORY_IMPORT, _IS_MEMORY):
            raise UnknownObject(f"it imports {'.'.join(name)}")
        flags = reader.number()
        reader.number()
        if flags & 1:
            reader.number()


def _symbols(linking: bytes, starts: list[int]) -> Iterator[tuple[int, str, int]]:
    """What the symbol table defines: kind, name, and the index of a function or the address of numbers."""
    reader = Reader(linking)
    if reader.ended or reader.number() != 2:
        raise UnknownObject("its linking section is not of version 2")
    while not reader.ended:
        kind = reader.take(1)[0]
        inner = Reader(reader.take(reader.number()))
        if kind != _SYMBOL_TABLE:
            continue
        for _ in range(inner.number()):
            kind, flags = inner.take(1)[0], inner.number()
            if kind not in (_OF_FUNCTION, _OF_DATA) or (flags & _UNDEFINED and not flags & _EXPLICIT_NAME):
                raise UnknownObject("a symbol of it is no function and no number of its own")
            if kind == _OF_FUNCTION:
                index = inner.number()
                yield kind, inner.text(), index
            else:
                name, index, offset, _ = inner.text(), inner.number(), inner.number(), inner.number()
                yield kind, name, starts[index] + offset


def _relocated(body: bytes, parts: list[tuple[int, bytes]], symbols: list[tuple[int, str, int]]) -> tuple[int, bytes]:
    """Which section a list of relocations is for, and its content with the addresses that numbers have here."""
    reader = Reader(body)
    place = reader.number()
    content = bytearray(parts[place][1])
    for _ in range(reader.number()):
        kind, offset, at = reader.number(), reader.number(), reader.number()
        (kind_of_symbol, _, target), written = symbols[at], Reader(parts[place][1], offset)
        match kind, kind_of_symbol:
            case (0, 0):
                if written.number() != target:
                    raise UnknownObject(f"a call at {offset} does not go where its relocation says")
            case (3 | 4, 1):
                address = target + reader.signed()
                signed = kind == _SIGNED_ADDRESS
                if (written.signed() if signed else written.number()) != address or written.at != offset + _PADDED:
                    raise UnknownObject(f"an address at {offset} is not what its relocation says")
                content[offset : offset + _PADDED] = _padded(FIRST + address)
            case _:
                raise UnknownObject(f"it has a relocation of kind {kind}")
    return place, bytes(content)


def _padded(address: int) -> bytes:
    """An address in five bytes, the same with a sign and without one as long as it is below 2^31."""
    return bytes([(address >> (7 * i)) & 127 | (128 if i < _PADDED - 1 else 0) for i in range(_PADDED)])


def leb(value: int) -> bytes:
    """An unsigned LEB128 number.

    >>> leb(5), leb(624485)
    (b'\\x05', b'\\xe5\\x8e&')
    """
    out = bytearray()
    while True:
        byte, value = value & 127, value >> 7
        out.append(byte | (128 if value else 0))
        if not value:
            return bytes(out)


def _signed_leb(value: int) -> bytes:
    """A signed LEB128 number.

    >>> _signed_leb(5), _signed_leb(64), _signed_leb(-1)
    (b'\\x05', b'\\xc0\\x00', b'\\x7f')
    """
    out = bytearray()
    while True:
        byte, value = value & 127, value >> 7
        ended = value == (-1 if byte & 64 else 0)
        out.append(byte | (0 if ended else 128))
        if ended:
            return bytes(out)


def _vector(items: Sequence[bytes]) -> bytes:
    """How many, and then each."""
    return leb(len(items)) + b"".join(items)


def text(content: str) -> bytes:
    """A text in UTF-8 after its length."""
    return leb(len(content.encode())) + content.encode()


def _section(kind: int, body: bytes) -> bytes:
    """A section after its kind and length."""
    return bytes([kind]) + leb(len(body)) + body


class Reader:
    """Reads from bytes onwards."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return self.at >= len(self.data)

    def take(self, n: int) -> bytes:
        """The next ``n`` bytes."""
        if self.at + n > len(self.data):
            raise ValueError("it ends too early")
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self) -> int:
        """The next unsigned LEB128 number.

        >>> Reader(b"\\xe5\\x8e\\x26").number()
        624485
        """
        return self._leb128()[0]

    def signed(self) -> int:
        """The next signed LEB128 number.

        >>> Reader(b"\\xc0\\x00").signed(), Reader(b"\\x7f").signed()
        (64, -1)
        """
        value, n_bits = self._leb128()
        return value - (1 << n_bits) if value >> (n_bits - 1) else value

    def _leb128(self) -> tuple[int, int]:
        """The next number without its sign, and how many bits it takes."""
        value = n_bits = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << n_bits
            n_bits += 7
            if byte < 128:
                return value, n_bits

    def text(self) -> str:
        """The next text after its length."""
        return self.take(self.number()).decode()
