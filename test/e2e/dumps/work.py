# What a container does whose dump is compared with /proc: a process for each kind of thing, then all wait.
import ctypes, fcntl, mmap, os, resource, select, signal, socket, struct, sys, threading, time

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


def wait_forever():
    open(f"/tmp/ready.{os.getpid()}", "w").close()
    while True:
        signal.pause()


KINDS = [files, sockets, ipc, threads, mappings, rights, spaces, zombie]
for kind in KINDS:
    if os.fork() == 0:
        libc.prctl(15, b"does-" + kind.__name__.encode())
        kind()
        wait_forever()
wait_forever()
