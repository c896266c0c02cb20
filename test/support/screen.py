"""A program on a terminal of its own: what stands on its screen, keys, and another size of the window.

    with Screen([WEIR, "top"], columns=80, rows=24) as screen:
        screen.wait_for("objects")
        screen.press("q")
        assert screen.ended() == 0

The terminal is modelled by pyte (Debian: python3-pyte); raw is every byte it was sent.
"""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import threading
import time

try:
    import pyte
except ImportError:  # Debian's package is there for Debian's Python; it is nothing but Python
    sys.path.append("/usr/lib/python3/dist-packages")
    import pyte

KEYS = {"up": "\x1bOA", "down": "\x1bOB", "pgup": "\x1b[5~", "pgdn": "\x1b[6~", "home": "\x1bOH", "end": "\x1bOF", "enter": "\r",
        "escape": "\x1b", "backspace": "\x7f", "ctrl-c": "\x03"}


class Model(pyte.Screen):
    """With what xterm can and pyte cannot: scrolling between the margins without moving the cursor (SU, SD)."""

    def scroll(self, at, step, count):
        y = self.cursor.y
        margins = self.margins or pyte.screens.Margins(0, self.lines - 1)
        self.cursor.y = getattr(margins, at)
        for _ in range(count or 1):
            step()
        self.cursor.y = y

    def scroll_up(self, count=1):
        self.scroll("bottom", self.index, count)

    def scroll_down(self, count=1):
        self.scroll("top", self.reverse_index, count)


class Stream(pyte.ByteStream):
    csi = {**pyte.ByteStream.csi, "S": "scroll_up", "T": "scroll_down"}
    events = pyte.ByteStream.events | {"scroll_up", "scroll_down"}


class Screen:
    def __init__(self, arguments, columns=80, rows=24, **env):
        self.model = Model(columns, rows)
        self.stream = Stream(self.model)
        self.raw, self.lock, self.status = b"", threading.Lock(), None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **env}
            for name in [name for name, value in environment.items() if value is None]:
                del environment[name]
            self.set_size(0, columns, rows)
            os.execve(str(arguments[0]), [str(word) for word in arguments], environment)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    @staticmethod
    def set_size(fd, columns, rows):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        while True:
            try:
                data = os.read(self.fd, 65536) if select.select([self.fd], [], [], 1)[0] else None
            except OSError:  # the program has ended
                return
            if data == b"":
                return
            if data:
                with self.lock:
                    self.raw += data
                    self.stream.feed(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.reader.join(5)
        os.close(self.fd)

    @property
    def lines(self):
        with self.lock:
            return [line.rstrip() for line in self.model.display]

    @property
    def text(self):
        return "\n".join(self.lines)

    def colours_of(self, word):
        """The foreground colours of the cells in which that word stands first."""
        with self.lock:
            for row, line in enumerate(self.model.display):
                at = line.find(word)
                if at >= 0:
                    return {self.model.buffer[row][column].fg for column in range(at, at + len(word))}
        return set()

    def reversed_line(self):
        """The line that stands out; "" where none does."""
        with self.lock:
            for row in range(self.model.lines - 1):
                if self.model.buffer[row][0].reverse:
                    return self.model.display[row].rstrip()
        return ""

    def press(self, *keys):
        for key in keys:
            os.write(self.fd, KEYS.get(key, key).encode())

    def resize(self, columns, rows):
        with self.lock:
            self.model.resize(rows, columns)
        self.set_size(self.fd, columns, rows)

    def wait_for(self, what, limit_s=20):
        """A text, or a function of this screen."""
        is_there = what if callable(what) else lambda screen: what in screen.text
        end = time.monotonic() + limit_s
        while not is_there(self):
            assert time.monotonic() < end, f"{what!r} is not on the screen:\n{self.text}"
            time.sleep(0.02)
        return self

    def ended(self, limit_s=20):
        """Its exit status."""
        end = time.monotonic() + limit_s
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                break
            assert time.monotonic() < end, f"it has not ended:\n{self.text}"
            time.sleep(0.02)
        self.reader.join(5)
        return self.status
