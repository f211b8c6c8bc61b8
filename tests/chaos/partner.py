"""A partner that counts: each request's path is in the file, by one write(2), before a byte of the answer is sent.

`python -m tests.chaos.partner PORT CERT KEY CA COUNTS`. Mutual TLS and a password; a call without it is `nobody`'s.
/drip/… is answered byte by byte, /hang-up/… not.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import sys

USER, PASSWORD = "chaos", "canary-of-the-partners-password"
AUTHORIZATION = b"Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode())
CANARY = "canary-of-the-partners-words"
ANSWER = b'{"said": "%s"}' % CANARY.encode()


async def _serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: int) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            method, path = head.split(b" ", 2)[:2]
            length = next(
                (line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b"0"
            )
            await reader.readexactly(int(length))
            os.write(counts, method + b" " + path + b"\n" if AUTHORIZATION in head else b"nobody " + path + b"\n")
            if path.startswith(b"/hang-up/"):
                return
            await _answer(writer, drip=path.startswith(b"/drip/"))
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def _answer(writer: asyncio.StreamWriter, *, drip: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
    for part in [bytes([each]) for each in head + ANSWER] if drip else [head + ANSWER]:
        writer.write(part)
        await writer.drain()
        if drip:
            await asyncio.sleep(0.002)


async def _main(port: int, certificate: str, key: str, ca: str, counts: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    file = os.open(counts, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    server = await asyncio.start_server(
        lambda reader, writer: _serve_one(reader, writer, file), "127.0.0.1", port, ssl=context, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), *sys.argv[2:6]))
