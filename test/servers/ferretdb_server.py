"""FerretDB, MongoDB's protocol on SQLite, without logins. Built from its own package for being part of other programs.

    ferretdb.insert("jobs", [{"_id": 1, "state": "waiting"}])    into the database `jobs`
    ferretdb.drop("jobs")
"""
import socket
import struct

import pytest

from install import go
from mongo_peer import decode, encode
from server import Server, free_port

MAIN = """package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: "127.0.0.1:" + os.Args[1]},
		Handler:   "sqlite",
		SQLiteURL: "file:" + os.Args[2] + "/",
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server.Run(ctx)
}
"""


class FerretDb(Server):
    def __init__(self, folder):
        self.port = free_port()
        program = go("ferretdb", require={"github.com/FerretDB/FerretDB": "v1.24.2"}, files={"main.go": MAIN}) / "ferretdb"
        (folder / "data").mkdir(parents=True, exist_ok=True)
        super().__init__(folder, "ferretdb", [program, self.port, folder / "data"], ready=self.port)

    def say(self, command):
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as sock:
            out = struct.pack("<iB", 0, 0) + encode({**command, "$db": "jobs"})
            sock.sendall(struct.pack("<iiii", len(out) + 16, 1, 0, 2013) + out)
            said = sock.makefile("rb")
            return decode(said.read(struct.unpack("<iiii", said.read(16))[0] - 16), 5)

    def insert(self, collection, documents):
        assert self.say({"insert": collection, "documents": documents})["ok"] == 1

    def drop(self, collection):
        self.say({"drop": collection})


@pytest.fixture(scope="module")
def ferretdb(place):
    with FerretDb(place("ferretdb")) as server:
        yield server
