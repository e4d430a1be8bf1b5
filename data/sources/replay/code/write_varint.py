"""Delta plus varint packing for sorted integers, as in a search index."""


def write_varint(n, out):
    # Seven payload bits per byte; the high bit says that more follow.
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)


def pack(sorted_ids):
    out, previous = bytearray(), 0
    for ident in sorted_ids:
        if ident < previous:
            raise ValueError(f"{ident} arrives after {previous}")
        write_varint(ident - previous, out)
        previous = ident
    return bytes(out)


def unpack(blob):
    total = shift = delta = 0
    for byte in blob:
        delta |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
            continue
        total += delta
        yield total
        shift = delta = 0
    if shift:
        raise ValueError("input stops in the middle of a number")


postings = [3, 4, 9, 130, 131, 20_000, 20_001, 1_000_000]
blob = pack(postings)
assert list(unpack(blob)) == postings
print(f"{len(postings)} ids in {len(blob)} bytes: {blob.hex(' ')}")
try:
    list(unpack(blob[:-1]))
except ValueError as problem:
    print("truncated:", problem)
