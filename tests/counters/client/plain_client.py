"""A client of both ports in another language, written from the tables of src/counters/wire/README.md alone.

    plain_client.py WRITE_PORT READ_PORT

Talks as the original countd's client did (struct.pack of 520 bytes), then reads back. Prints what it saw.
"""
import socket
import struct
import sys


def read_exactly(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise SystemExit("connection ended after %d of %d bytes" % (len(data), count))
        data += more
    return data


def message(increment, keyspace, key):
    return struct.pack("<q256s256s", increment, keyspace, key)


writer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
# One message, answered on its own.
writer.sendall(message(47, b"foreign", b"first"))
print(read_exactly(writer, 3).decode())
# Three in one call, and one in two parts.
writer.sendall(message(-9, b"foreign", b"second") * 3)
print(read_exactly(writer, 9).decode())
parts = message(9007199254740993, b"foreign", b"\xff" * 256)
writer.sendall(parts[:300])
writer.sendall(parts[300:])
print(read_exactly(writer, 3).decode())
# Refused: an empty keyspace, and a byte behind the first NUL. Then a partial message at the end.
writer.sendall(message(1, b"", b"k") + message(1, b"foreign", b"a\0b"))
print(read_exactly(writer, 6).decode())
writer.sendall(b"fail")
writer.shutdown(socket.SHUT_WR)
print(struct.unpack("<qq", read_exactly(writer, 16)))
print(writer.recv(1))

reader = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
reader.sendall(struct.pack("<256sqq", b"foreign", 0, 10))
total, rows, size = struct.unpack("<qqq", read_exactly(reader, 24))
body = read_exactly(reader, size)
print(total, rows)
at = 0
for _ in range(rows):
    value, length = struct.unpack_from("<qH", body, at)
    key = body[at + 10:at + 10 + length]
    print(value, key if length < 256 else "%d bytes" % length)
    at += 10 + length
print(at == size)
reader.sendall(struct.pack("<256sqq256s", b"foreign", -2**63, 1, b"first"))
total, rows, size = struct.unpack("<qqq", read_exactly(reader, 24))
rank, value, length = struct.unpack_from("<qqH", read_exactly(reader, size))
print(rank, value, length)
