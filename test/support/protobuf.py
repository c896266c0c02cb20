"""Protocol buffers read without their definitions: numbers and bytes. What the fields mean is checked with the reference definitions by
tools/check-otlp; here it is enough to find things."""
import struct


def fields(data):
    """(number, value) of each field: an int for varints and fixed widths, bytes for the rest."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value
    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        elif key & 7 == 1:
            yield key >> 3, struct.unpack_from("<Q", data, at)[0]
            at += 8
        elif key & 7 == 2:
            length = varint()
            assert at + length <= len(data)
            yield key >> 3, data[at:at + length]
            at += length
        elif key & 7 == 5:
            yield key >> 3, struct.unpack_from("<I", data, at)[0]
            at += 4
        else:
            raise ValueError(f"wire type {key & 7}")


def at(data, *path):
    """All values at a path of field numbers."""
    found = [data]
    for number in path:
        found = [value for one in found for n, value in fields(one) if n == number]
    return found


def one(data, *path):
    return (at(data, *path) or [None])[0]
