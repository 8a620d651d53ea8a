# What a container does whose dump is compared with /proc: a process for each kind of thing, then all wait. `work.py KIND…`. What /proc does
# not have, a process writes down itself, as parts of the document of `inspect`: said().
import array, ctypes, fcntl, json, mmap, os, pty, resource, select, signal, socket, struct, sys, termios, threading, time

# CRIU dumps no files of the node.
out = os.open("/tmp/out", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
os.dup2(out, 1)
os.dup2(out, 2)
os.close(out)
libc = ctypes.CDLL(None, use_errno=True)
kept = []


def keep(*things):
    kept.extend(things)


def files():
    log = os.open("/tmp/log", os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o640)
    os.write(log, b"twelve bytes")
    odd = os.open(b"/tmp/odd\xff\nname", os.O_CREAT | os.O_RDWR)
    os.write(odd, b"12345")
    fcntl.lockf(odd, fcntl.LOCK_EX, 10, 5)
    locked = os.open("/tmp/locked", os.O_CREAT | os.O_RDWR)
    fcntl.flock(locked, fcntl.LOCK_SH)
    gone = os.open("/tmp/gone", os.O_CREAT | os.O_RDWR)
    os.write(gone, b"deleted-bytes")
    os.unlink("/tmp/gone")
    sealed = os.memfd_create("dump memfd", os.MFD_ALLOW_SEALING)
    os.write(sealed, b"memfd-bytes")
    fcntl.fcntl(sealed, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    reader, writer = os.pipe()
    os.write(writer, b"in the pipe")
    epoll = select.epoll()
    epoll.register(reader, select.EPOLLIN)
    keep(epoll, os.eventfd(42), os.open("/tmp", os.O_PATH), os.open("/dev/null", os.O_WRONLY | os.O_NONBLOCK))
    os.set_inheritable(log, True)


def sockets():
    listener = socket.create_server(("127.0.0.1", 7001), backlog=7)
    client = socket.create_connection(("127.0.0.1", 7001))
    server, _ = listener.accept()
    client.send(b"tcp in flight")
    six = socket.create_server(("::", 7002), family=socket.AF_INET6)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 7003))
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.connect(("127.0.0.1", 7003))
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    left.send(b"unix in flight")
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    named = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    named.bind("/tmp/named.sock")
    named.listen(3)
    abstract = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    abstract.bind("\0dump abstract")
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    netlink.bind((0, 1))
    packet = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0806))
    keep(listener, client, server, six, udp, other, left, right, one, two, named, abstract, netlink, packet)


def ipc():
    segment = libc.shmget(0x4D01, 8192, 0o1600)
    libc.shmat.restype = ctypes.c_void_p
    address = libc.shmat(segment, None, 0)
    ctypes.memmove(address, b"segment-bytes", 13)
    semaphores = libc.semget(0x4D02, 3, 0o1640)
    libc.semctl(semaphores, 1, 16, 5)
    queue = libc.msgget(0x4D03, 0o1600)
    libc.msgsnd(queue, struct.pack("l", 9) + b"queued-message", 14, 0)


def threads():
    def wait(name):
        libc.prctl(15, name.encode())
        time.sleep(1e6)

    for number in range(63):
        threading.Thread(target=wait, args=(f"worker-{number}",), daemon=True).start()


def mappings():
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    for number in range(2500):
        # Neighbours of other rights do not become one.
        pages = mmap.mmap(-1, 8192, flags, mmap.PROT_READ | mmap.PROT_WRITE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
        pages[0:8] = struct.pack("Q", number)
        libc.mprotect(ctypes.c_void_p(address), 4096, mmap.PROT_READ)
        keep(pages)


def rights():
    os.setsid()
    os.setgroups([2000, 3000])
    resource.setrlimit(resource.RLIMIT_NOFILE, (321, 654))
    os.nice(3)
    os.umask(0o027)
    os.chdir("/tmp")
    libc.prctl(38, 1, 0, 0, 0)
    libc.prctl(36, 1, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])
    signal.setitimer(signal.ITIMER_PROF, 5000, 60)
    if os.fork() == 0:
        libc.prctl(1, signal.SIGHUP, 0, 0, 0)
        wait_forever()


def spaces():
    libc.unshare(0x00020000)  # CLONE_NEWNS
    libc.mount(None, b"/", None, 0x44000, None)
    os.mkdir("/tmp/inner")
    libc.mount(b"inner", b"/tmp/inner", b"tmpfs", 0, None)


def zombie():
    if os.fork() == 0:
        os._exit(7)


def zombies():
    if os.fork() == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def timers():
    signal.setitimer(signal.ITIMER_REAL, 7000, 70)
    signal.setitimer(signal.ITIMER_VIRTUAL, 6000, 60)
    created = ctypes.c_void_p()
    libc.timer_create.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    libc.timer_settime.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    event = struct.pack("PiiPP", 0, signal.SIGUSR2, 0, 0, 0) + bytes(64)
    libc.timer_create(1, event, ctypes.byref(created))
    libc.timer_settime(created, 0, struct.pack("qqqq", 30, 500_000_000, 9000, 0), None)
    descriptor = libc.timerfd_create(7, 0)
    libc.timerfd_settime(descriptor, 0, struct.pack("qqqq", 40, 0, 8000, 0), None)
    said(
        process={
            "timers": [
                {"kind": "real", "everySeconds": 70},
                {"kind": "virtual", "everySeconds": 60},
                {"kind": "posix", "clock": "monotonic", "signal": "USR2", "everySeconds": 30.5},
            ]
        },
        files={descriptor: {"type": "timerfd", "clock": "boottime", "everySeconds": 40}},
    )


def locks():
    data = os.open("/tmp/locks", os.O_CREAT | os.O_RDWR)
    os.write(data, bytes(100))
    fcntl.lockf(data, fcntl.LOCK_EX, 20, 10)
    fcntl.lockf(data, fcntl.LOCK_SH, 5, 50)
    whole = os.open("/tmp/locks-whole", os.O_CREAT | os.O_RDWR)
    fcntl.flock(whole, fcntl.LOCK_EX)
    description = os.open("/tmp/locks-ofd", os.O_CREAT | os.O_RDWR)
    fcntl.fcntl(description, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 3, 4, 0))
    os.close(os.open("/tmp/locks-lease", os.O_CREAT | os.O_RDWR))
    lease = os.open("/tmp/locks-lease", os.O_RDONLY)
    fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    said(
        locks=[
            {"kind": "posix", "mode": "write", "fd": data, "path": "/tmp/locks", "start": 10, "length": 20},
            {"kind": "posix", "mode": "read", "fd": data, "path": "/tmp/locks", "start": 50, "length": 5},
            {"kind": "flock", "mode": "write", "fd": whole, "path": "/tmp/locks-whole", "start": 0, "length": 0},
            {"kind": "ofd", "mode": "write", "fd": description, "path": "/tmp/locks-ofd", "start": 3, "length": 4},
            {"kind": "lease", "mode": "read", "fd": lease, "path": "/tmp/locks-lease", "start": 0, "length": 0},
        ]
    )


def flight():
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    sent = os.open("/tmp/sent", os.O_CREAT | os.O_RDWR)
    reader, writer = os.pipe()
    sender.sendmsg([b"with files"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sent, writer]))])
    os.close(sent)
    end = os.fstat(writer).st_ino
    os.close(writer)
    keep(sender, receiver, reader)
    waiting = [{"type": "file", "name": "/tmp/sent"}, {"type": "pipe", "name": f"pipe:[{end}]"}]
    said(sockets={receiver.fileno(): {"receiveQueue": 10, "inFlight": waiting}})


def filters():
    # Linux's BPF: load the number, refuse one call, allow the others.
    def program(call):
        steps = [(0x20, 0, 0, 0), (0x15, 0, 1, call), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7FFF0000)]
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
        keep(code)
        return struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))

    libc.prctl(38, 1, 0, 0, 0)
    for call in (101, 175):
        libc.prctl(22, 2, program(call), 0, 0)
    said(process={"threads": [{"seccomp": "filter", "seccompFilters": 2}]}, filters={"errno 1": [["ptrace"], ["init_module"]]})


def family():
    libc.prctl(36, 1, 0, 0, 0)
    said(process={"subreaper": True})
    if os.fork() == 0:
        libc.prctl(1, signal.SIGUSR1, 0, 0, 0)
        said(process={"subreaper": False, "threads": [{"parentDeathSignal": "USR1"}]})
        wait_forever()


def options():
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, 36, 77)  # SO_MARK
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 5)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
    udp.bind(("127.0.0.1", 7101))
    listener = socket.create_server(("127.0.0.1", 7102), reuse_port=True)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    keep(udp, listener)
    said(sockets={udp.fileno(): {"mark": "0x4d", "local": "127.0.0.1:7101"}, listener.fileno(): {"state": "LISTEN"}})


def families():
    six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    six.bind(("::1", 7201))
    six.connect(("::1", 7202))
    stream = socket.create_server(("::1", 7203), family=socket.AF_INET6)
    client = socket.create_connection(("::1", 7203))
    server, _ = stream.accept()
    server.send(b"six bytes")
    client.shutdown(socket.SHUT_WR)
    datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    datagram.bind("/tmp/datagram.sock")
    to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    to.connect("/tmp/datagram.sock")
    to.send(b"one")
    to.send(b"three")
    generic = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
    generic.bind((0, 0))
    keep(six, stream, client, server, datagram, to, generic)
    said(
        sockets={
            six.fileno(): {"protocol": "udp", "local": "[::1]:7201", "remote": "[::1]:7202"},
            stream.fileno(): {"protocol": "tcp", "local": "[::1]:7203", "state": "LISTEN"},
            client.fileno(): {"receiveQueue": 9},
            datagram.fileno(): {"local": "/tmp/datagram.sock", "receiveQueue": 8},
            generic.fileno(): {"family": "netlink", "protocol": "netlink"},
        }
    )


def watches():
    # Of a file system that CRIU can open files of by their handles.
    notify = libc.inotify_init1(0)
    libc.inotify_add_watch(notify, b"/dev/shm", 0x100 | 0x2)
    libc.signalfd.restype = ctypes.c_int
    signals = libc.signalfd(-1, struct.pack("Q", 1 << 9 | 1 << 14), 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])
    counter = os.eventfd(5)
    os.eventfd_write(counter, 6)
    epoll = select.epoll()
    epoll.register(counter, select.EPOLLIN | select.EPOLLET)
    keep(epoll)
    said(
        files={
            notify: {"type": "inotify", "watches": [{"events": ["modify", "create"]}]},
            signals: {"type": "signalfd", "signals": ["USR1", "TERM"]},
            counter: {"type": "eventfd", "counter": 11},
            epoll.fileno(): {"type": "epoll", "watches": [{"fd": counter, "events": ["in", "edge"]}]},
        }
    )


def memfds():
    every = os.memfd_create("every seal", os.MFD_ALLOW_SEALING)
    os.write(every, b"x" * 5000)
    fcntl.fcntl(every, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL)
    mapped = os.memfd_create("mapped\xff".encode("latin1"))
    os.ftruncate(mapped, 8192)
    keep(mmap.mmap(mapped, 8192))
    said(
        files={
            every: {"type": "memfd", "size": 5000, "seals": ["seal", "shrink", "grow", "write"], "position": 5000},
            mapped: {"type": "memfd", "size": 8192, "name": "memfd:mapped\\xff"},
        }
    )


def deleted():
    twice = os.open("/tmp/deleted-twice", os.O_CREAT | os.O_RDWR, 0o604)
    os.write(twice, b"a deleted file")
    os.unlink("/tmp/deleted-twice")
    again = os.dup(twice)
    gone = os.open("/tmp/deleted-mapped", os.O_CREAT | os.O_RDWR)
    os.write(gone, bytes(4096))
    keep(mmap.mmap(gone, 4096, mmap.MAP_PRIVATE))
    os.close(gone)
    os.unlink("/tmp/deleted-mapped")
    said(
        files={twice: {"deleted": True, "position": 14}, again: {"deleted": True, "position": 14}},
        deletedFiles=[
            {"path": "/tmp/deleted-twice", "bytes": 14, "mode": "0604"},
            {"path": "/tmp/deleted-mapped", "bytes": 4096},
        ],
    )


def paths():
    os.symlink("/nowhere", "/tmp/paths-link")
    with open("/tmp/paths-file", "w") as file:
        file.write("text")
    opened = [os.open("/tmp/paths-file", os.O_PATH), os.open("/tmp", os.O_PATH | os.O_DIRECTORY)]
    said(files={descriptor: {"mode": "path"} for descriptor in opened})


def pipes():
    os.mkfifo("/tmp/fifo")
    fifo = os.open("/tmp/fifo", os.O_RDWR)
    os.write(fifo, b"in the fifo")
    reader, writer = os.pipe()
    fcntl.fcntl(writer, 1031, 1 << 16)  # F_SETPIPE_SZ
    os.write(writer, b"z" * 60_000)
    said(files={fifo: {"type": "fifo", "name": "/tmp/fifo", "queuedBytes": 11}, reader: {"queuedBytes": 60_000}})


def growing():
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    address = libc.mmap(None, 65536, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100, -1, 0)
    ctypes.memset(address, 1, 65536)
    quiet = libc.mmap(None, 65536, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.madvise(quiet, 65536, mmap.MADV_DONTFORK)
    said(
        regions=[
            {"start": hex(address), "growsDown": True, "kind": "anonymous"},
            {"start": hex(quiet), "advice": ["dontfork"]},
        ]
    )


def scheduled():
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    os.nice(5)
    said(process={"threads": [{"scheduling": "batch", "priority": 0, "nice": 5}]})
    if os.fork() == 0:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        said(process={"threads": [{"scheduling": "idle"}]})
        wait_forever()


def limited():
    for number, limit in [(resource.RLIMIT_CORE, (0, 0)), (resource.RLIMIT_STACK, (1 << 23, 1 << 26)), (resource.RLIMIT_FSIZE, (1 << 30, -1))]:
        resource.setrlimit(number, limit)
    resource.setrlimit(resource.RLIMIT_NPROC, (500, 600))


def pending():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGUSR2, signal.SIGRTMIN + 3])
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGRTMIN + 3)


def shared():
    pages = mmap.mmap(-1, 16384)
    pages[0:6] = b"shared"
    file = os.open("/tmp/shared-file", os.O_CREAT | os.O_RDWR)
    os.ftruncate(file, 8192)
    keep(pages, mmap.mmap(file, 8192), mmap.mmap(file, 4096, mmap.MAP_SHARED, mmap.PROT_READ, offset=4096))
    if os.fork() == 0:
        wait_forever()


def segments():
    for key in range(5):
        segment = libc.shmget(0x5000 + key, 4096 * (key + 1), 0o1604)
        if key % 2 == 0:
            libc.shmat(segment, None, 0)
    ids = libc.semget(0, 2, 0o1666)
    libc.semctl(ids, 0, 16, 3)
    for number in range(3):
        queue = libc.msgget(0x6000 + number, 0o1644)
        for text in range(number):
            libc.msgsnd(queue, struct.pack("l", text + 1) + b"m" * (number * 10), number * 10, 0)


def deep():
    for _ in range(30):
        if os.fork() != 0:
            break
        os.setpgid(0, 0)


def sessions():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setpgid(0, 0)
        wait_forever()


def words():
    os.execve(
        "/usr/bin/python3",
        [b"python3", b"/w/work.py", b"--ready", b"", b"\xff\xfe", b"a\\b", b"x" * 9000],
        {b"TWO": b"2", b"BYTES": b"\x80\x81", b"LONG": b"y" * 9000, b"EMPTY": b""},
    )


def terminals():
    # Whoever has the other end is here.
    main, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
    keep(main, end)
    said(files={end: {"type": "tty"}})


def said(**parts):
    with open(f"/tmp/said.{os.getpid()}", "w") as file:
        json.dump(parts, file)


def ready():
    open(f"/tmp/ready.{os.getpid()}", "w").close()


def wait_forever():
    ready()
    while True:
        signal.pause()


# Of each kind: how many processes it has besides the first that wait.
MORE = {"rights": 1, "family": 1, "scheduled": 1, "shared": 1, "deep": 30, "sessions": 2}

if sys.argv[1] == "--ready":
    wait_forever()
for kind in sys.argv[1:]:
    if os.fork() == 0:
        libc.prctl(15, b"does-" + kind.encode())
        globals()[kind]()
        wait_forever()
expected = sum(1 + MORE.get(kind, 0) for kind in sys.argv[1:])
while len([name for name in os.listdir("/tmp") if name.startswith("ready.")]) < expected:
    time.sleep(0.05)
time.sleep(0.5)
open("/tmp/all-ready", "w").close()
wait_forever()
