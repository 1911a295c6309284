"""An HTTP server that says what a test tells it to: for what real servers never say twice the same, or only when something is wrong."""
import contextlib
import json
import socket
import threading


class FakeServer:
    """answers: {"GET /path?query": answer}; a query string in the key must be that of the request, a key without one takes any. An answer is
    (status, body) or (status, body, headers), where a body that is no text or bytes is sent as JSON; HANG says nothing until the client goes
    away, DROP closes after half an answer, GARBAGE is no HTTP. What is not among them is 404 with nothing, as in Druid."""
    HANG, DROP, GARBAGE = object(), object(), object()

    def __init__(self, env, answers):
        self.answers, self.requests = answers, []
        self.socket = socket.create_server(("127.0.0.1", env.ports.take()))
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        env.at_end(self.close)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(client,), daemon=True).start()

    def answer(self, client):
        with client:
            f = client.makefile("rb")
            method, path = f.readline().decode().split()[:2]
            headers = {}
            while (line := f.readline().decode().strip()):
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            body = f.read(int(headers.get("content-length", 0))).decode()
            self.requests.append((f"{method} {path}", body))
            what = self.answers.get(f"{method} {path}", self.answers.get(f"{method} {path.partition('?')[0]}", (404, "")))
            if what is self.HANG:
                client.recv(1)
            elif what is self.DROP:
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[")
            elif what is self.GARBAGE:
                client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            else:
                status, content, more = (*what, {})[:3]
                data = content if isinstance(content, bytes) else (content if isinstance(content, str) else json.dumps(content)).encode()
                head = "".join(f"{k}: {v}\r\n" for k, v in {"Content-Type": "application/json", "Content-Length": len(data), **more}.items())
                client.sendall(f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + data)

    def asked(self, request):
        """Bodies of the requests that were made so."""
        return [body for r, body in self.requests if r == request]

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # or accept() goes on
        self.socket.close()
