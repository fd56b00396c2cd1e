"""The few forms that WebAssembly's binary format is made of: LEB128 numbers, vectors, texts and sections."""

from collections.abc import Sequence


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


def signed_leb(value: int) -> bytes:
    """A signed LEB128 number.

    >>> signed_leb(5), signed_leb(64), signed_leb(-1)
    (b'\\x05', b'\\xc0\\x00', b'\\x7f')
    """
    out = bytearray()
    while True:
        byte, value = value & 127, value >> 7
        ended = value == (-1 if byte & 64 else 0)
        out.append(byte | (0 if ended else 128))
        if ended:
            return bytes(out)


def vector(items: Sequence[bytes]) -> bytes:
    """How many, and then each."""
    return leb(len(items)) + b"".join(items)


def text(content: str) -> bytes:
    """A text in UTF-8 after its length."""
    return leb(len(content.encode())) + content.encode()


def section(kind: int, body: bytes) -> bytes:
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
