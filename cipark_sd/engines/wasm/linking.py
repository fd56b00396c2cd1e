"""An object file that LLVM wrote for wasm32, made a module that can be instantiated: no linker is needed for it.

An object of one module refers to its own functions by the indices that they have in it, and LLVM has written these
already; what a linker would do is to confirm them. So the sections that only linkers read are dropped, the memory that
the object imports becomes the module's own, and ``run`` and ``memory`` are exported. Each relocation is checked against
what stands in its place, and whatever else an object may hold (data, tables, globals, imports) is refused, so that a
change in LLVM cannot pass unseen.

Sources: WebAssembly Core Specification 2.0, chapter 5 (binary format); WebAssembly tool conventions, Linking.md.
"""

from collections.abc import Iterator

from cipark_sd.engines.wasm.encoding import Reader, leb, section, text, vector

MAGIC = b"\0asm\x01\0\0\0"
_CUSTOM, _TYPE, _IMPORT, _FUNCTION, _MEMORY, _EXPORT, _CODE = 0, 1, 2, 3, 5, 7, 10
#: Kinds of what is imported and exported.
_IS_FUNCTION, _IS_MEMORY = b"\0", b"\2"
_MEMORY_IMPORT = ("env", "__linear_memory")
_SYMBOL_TABLE = 8
_UNDEFINED, _EXPLICIT_NAME = 0x10, 0x40
#: The only kind of relocation that one module of functions has: R_WASM_FUNCTION_INDEX_LEB.
_FUNCTION_INDEX = 0


class UnknownObject(RuntimeError):
    """An object file with something in it that this module does not know; another version of LLVM may write such."""


def linked(obj: bytes, exported: str = "run") -> bytes:
    """The module of an object file: its functions, a memory of its own, and both exported.

    Raises
    ------
    UnknownObject
    """
    if not obj.startswith(MAGIC):
        raise UnknownObject("it does not begin as a module of version 1 does")
    parts = list(sections(obj))
    known = (_CUSTOM, _TYPE, _IMPORT, _FUNCTION, _CODE)
    unknown = [kind for kind, _ in parts if kind not in known]
    if unknown:
        raise UnknownObject(f"it has sections of the kinds {unknown}")
    custom = {name: content for kind, body in parts if kind == _CUSTOM for name, content in [_named(body)]}
    functions = dict(_functions(custom.get("linking", b"")))
    for name, body in custom.items():
        if name.startswith("reloc."):
            _check_relocations(body, parts, functions)
    bodies = dict(parts)
    _check_imports(bodies.get(_IMPORT, leb(0)))
    if exported not in functions.values():
        raise UnknownObject(f"it has no function {exported!r}")
    (place,) = (index for index, name in functions.items() if name == exported)
    exports = vector([text(exported) + _IS_FUNCTION + leb(place), text("memory") + _IS_MEMORY + leb(0)])
    # one memory of at least one page, of any size
    memory = vector([b"\0" + leb(1)])
    made = {
        _TYPE: bodies[_TYPE],
        _FUNCTION: bodies[_FUNCTION],
        _MEMORY: memory,
        _EXPORT: exports,
        _CODE: bodies[_CODE],
    }
    return MAGIC + b"".join(section(kind, body) for kind, body in made.items())


def with_description(module: bytes, name: str, content: bytes) -> bytes:
    """The module with a custom section, which a host may read and an engine leaves out."""
    return module + section(_CUSTOM, text(name) + content)


def description(module: bytes, name: str) -> bytes:
    """What a custom section of that name holds.

    Raises
    ------
    UnknownObject
        When there is none.
    """
    for kind, body in sections(module):
        if kind == _CUSTOM:
            label, content = _named(body)
            if label == name:
                return content
    raise UnknownObject(f"it has no section {name!r}")


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


def _functions(linking: bytes) -> Iterator[tuple[int, str]]:
    """Index and name of each function that the symbol table defines."""
    reader = Reader(linking)
    if reader.ended or reader.number() != 2:
        raise UnknownObject("its linking section is not of version 2")
    while not reader.ended:
        kind = reader.take(1)[0]
        inner = Reader(reader.take(reader.number()))
        if kind != _SYMBOL_TABLE:
            continue
        for _ in range(inner.number()):
            symbol, flags = inner.take(1), inner.number()
            if symbol != _IS_FUNCTION or (flags & _UNDEFINED and not flags & _EXPLICIT_NAME):
                raise UnknownObject("a symbol of it is no function of its own")
            index = inner.number()
            yield index, inner.text()


def _check_relocations(body: bytes, parts: list[tuple[int, bytes]], functions: dict[int, str]) -> None:
    reader = Reader(body)
    _, place = parts[reader.number()]
    indices = list(functions)
    for _ in range(reader.number()):
        kind, offset, symbol = reader.number(), reader.number(), reader.number()
        if kind != _FUNCTION_INDEX:
            raise UnknownObject(f"it has a relocation of kind {kind}")
        if Reader(place, offset).number() != indices[symbol]:
            raise UnknownObject(f"a call at {offset} does not go where its relocation says")
