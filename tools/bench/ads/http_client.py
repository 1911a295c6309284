"""Queries over one keep-alive connection, timed from the first byte sent to the last byte received; what Python does with the answer comes after."""
import json
import socket
import time
import urllib.parse


class Client:
    def __init__(self, url, timeout=600):
        at = urllib.parse.urlsplit(url)
        self.host, self.port, self.timeout = at.hostname, at.port, timeout
        self.sock = None
        self.room = bytearray(1 << 22)

    def connect(self):
        self.sock = socket.create_connection((self.host, self.port), self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def grow(self):
        self.room.extend(bytes(len(self.room)))

    def ended(self, head, have):
        """The last chunk is there, and its trailers. Nothing in JSON looks like it: there are no line ends in texts."""
        return self.room.endswith(b"\r\n\r\n", head + 4, have) and self.room.rfind(b"\r\n0\r\n", max(head + 2, have - 1024), have) >= 0

    def post(self, path, body):
        """-> (seconds, status, body)"""
        if not self.sock:
            self.connect()
        request = f"POST {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        began = time.perf_counter()
        self.sock.sendall(request)
        head, have, length, chunked = -1, 0, None, False
        while True:
            if have == len(self.room):
                self.grow()
            with memoryview(self.room) as view:
                n = self.sock.recv_into(view[have:])
            if not n:
                raise ConnectionError(f"{self.host}:{self.port} closed the connection in the middle of an answer")
            have += n
            if head < 0:
                head = self.room.find(b"\r\n\r\n", 0, have)
                if head < 0:
                    continue
                fields = bytes(self.room[:head]).decode("latin-1").split("\r\n")
                status = int(fields[0].split()[1])
                known = {k.strip().lower(): v.strip() for k, v in (f.split(":", 1) for f in fields[1:])}
                length = int(known["content-length"]) if "content-length" in known else None
                chunked = known.get("transfer-encoding", "") == "chunked"
            if self.ended(head, have) if chunked else have >= head + 4 + (length or 0):
                break
        took = time.perf_counter() - began
        data = bytes(self.room[head + 4:have])
        return took, status, unchunk(data) if chunked else data

    def ask(self, native):
        """-> (seconds, body)"""
        took, status, data = self.post("/druid/v2", json.dumps(native).encode() if isinstance(native, dict) else native)
        if status != 200:
            raise SystemExit(f"{self.host}:{self.port} answered {status}: {data[:600].decode(errors='replace')}")
        return took, data

    def close(self):
        if self.sock:
            self.sock.close()
        self.sock = None


def unchunk(data):
    parts, at = [], 0
    while True:
        end = data.index(b"\r\n", at)
        n = int(data[at:end].split(b";")[0], 16)
        if not n:
            return b"".join(parts)
        parts.append(data[end + 2:end + 2 + n])
        at = end + 2 + n + 2


def totals(native, data):
    """[rows with data, impressions, clicks, spend] of an answer."""
    answer = json.loads(data)
    if native["queryType"] == "timeseries":
        rows = [r["result"] for r in answer]
    elif native["queryType"] == "topN":
        rows = [r for a in answer for r in a["result"]]
    else:
        rows = [r["event"] for r in answer]
    rows = [r for r in rows if r["impressions"]]
    return [len(rows), sum(r["impressions"] for r in rows), sum(r["clicks"] for r in rows), sum(r["spend"] for r in rows)]
