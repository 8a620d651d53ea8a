# On a node: runs work.py in a container of runc, writes down what /proc has of each of its processes, and dumps it. Prints a tar archive in
# base64: proc.json, and CRIU's images in checkpoint/. `take.py [--user-namespace] KIND…`: what work.py does.
import base64, io, json, os, re, shutil, subprocess, sys, tarfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = os.path.basename(HERE)
ROOT = f"{HERE}/bundle/rootfs"
IMAGES = f"{HERE}/images"
USER_NAMESPACE = "--user-namespace" in sys.argv
KINDS = [word for word in sys.argv[1:] if not word.startswith("-")]
OUTSIDE = 100000


def text(data):
    return data.decode("latin1")


def read(path):
    with open(path, "rb") as file:
        return text(file.read())


def table(content):
    return dict(line.split(":\t", 1) for line in content.splitlines() if ":\t" in line)


def process(pid):
    base = f"/proc/{pid}"
    status = table(read(f"{base}/status"))
    found = {
        "pid": int(status["NSpid"].split()[-1]),
        "status": status,
        "cmdline": read(f"{base}/cmdline"),
        "environ": read(f"{base}/environ"),
        "limits": read(f"{base}/limits"),
        "cgroup": read(f"{base}/cgroup"),
        "uidMap": read(f"{base}/uid_map").split(),
        "said": None,
        "oomScoreAdjust": int(read(f"{base}/oom_score_adj")),
        "threads": [],
        "files": {},
        "maps": [],
    }
    for tid in os.listdir(f"{base}/task"):
        inside = int(table(read(f"{base}/task/{tid}/status"))["NSpid"].split()[-1])
        # Fields after the name, which can have anything in it.
        fields = read(f"{base}/task/{tid}/stat").rsplit(")", 1)[1].split()
        found["threads"].append({"tid": inside, "comm": read(f"{base}/task/{tid}/comm")[:-1], "nice": int(fields[16])})
    if os.path.exists(f"{ROOT}/tmp/said.{found['pid']}"):
        found["said"] = json.loads(read(f"{ROOT}/tmp/said.{found['pid']}"))
    if status["State"].startswith("Z"):
        return found
    found["cwd"] = os.readlink(f"{base}/cwd")
    found["exe"] = os.readlink(f"{base}/exe")
    found["mountNamespace"] = os.readlink(f"{base}/ns/mnt")
    found["mounts"] = [line.split()[4] for line in read(f"{base}/mountinfo").splitlines()]
    for fd in os.listdir(f"{base}/fd"):
        link = text(os.readlink(f"{base}/fd/{fd}".encode()))
        info = table(read(f"{base}/fdinfo/{fd}"))
        found["files"][fd] = {"link": link, "pos": int(info["pos"]), "flags": int(info["flags"], 8)}
    for line in read(f"{base}/maps").splitlines():
        found["maps"].append(line.split(maxsplit=5)[:2])
    return found


def ipc(pid):
    inside = ["nsenter", "--ipc", "--target", str(pid)]
    return {kind: text(run(*inside, "cat", f"/proc/sysvipc/{kind}").stdout) for kind in ["shm", "sem", "msg"]}


def sockets(pid):
    return {kind: read(f"/proc/{pid}/net/{kind}") for kind in ["tcp", "tcp6", "udp", "unix", "packet", "netlink"]}


def run(*words, **options):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


def bundle():
    os.makedirs(ROOT)
    run("runc", "spec", cwd=f"{HERE}/bundle")
    with open(f"{HERE}/bundle/config.json") as file:
        spec = json.load(file)
    spec["process"].update(terminal=False, args=["/usr/bin/python3", "/w/work.py", *KINDS], env=["PATH=/usr/bin:/bin", "ONE=1", "EMPTY="])
    every = "LEASE CHOWN DAC_OVERRIDE FOWNER KILL SETGID SETUID NET_BIND_SERVICE NET_RAW NET_ADMIN SYS_ADMIN SYS_NICE IPC_LOCK"
    names = [f"CAP_{name}" for name in every.split()]
    spec["process"]["capabilities"] = {key: names for key in ["bounding", "effective", "permitted"]}
    spec["root"]["readonly"] = False
    binds = [(path, path) for path in ["/usr", "/etc"]] + [(HERE, "/w")]
    for source, target in binds:
        os.makedirs(ROOT + target, exist_ok=True)
        spec["mounts"].append({"destination": target, "type": "bind", "source": source, "options": ["rbind", "ro"]})
    for link in ["bin", "lib", "lib64", "sbin"]:
        os.symlink(f"usr/{link}", f"{ROOT}/{link}")
    os.makedirs(f"{ROOT}/tmp")
    os.chmod(f"{ROOT}/tmp", 0o1777)
    spec["linux"].pop("seccomp", None)
    spec["linux"]["namespaces"] = [space for space in spec["linux"]["namespaces"] if space["type"] != "cgroup"]
    spec["linux"]["cgroupsPath"] = f"/{NAME}"
    if USER_NAMESPACE:
        spec["linux"]["namespaces"].append({"type": "user"})
        mapping = {"containerID": 0, "hostID": OUTSIDE, "size": 65536}
        spec["linux"].update(uidMappings=[mapping], gidMappings=[mapping])
        for directory in [ROOT, f"{ROOT}/tmp"]:
            os.chown(directory, OUTSIDE, OUTSIDE)
        for directory in [HERE, f"{HERE}/bundle"]:
            os.chmod(directory, 0o755)
    with open(f"{HERE}/bundle/config.json", "w") as file:
        json.dump(spec, file)


def main():
    bundle()
    with open(f"{HERE}/out", "wb") as out:
        began = subprocess.run(["runc", "run", "-d", NAME], cwd=f"{HERE}/bundle", stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    if began.returncode != 0:
        raise SystemExit("runc run: " + read(f"{HERE}/out"))
    try:
        for _ in range(200):
            if os.path.exists(f"{ROOT}/tmp/all-ready"):
                break
            time.sleep(0.1)
        else:
            raise SystemExit("not ready: " + read(f"{ROOT}/tmp/out"))
        pids = json.loads(run("runc", "ps", "-f", "json", NAME).stdout)
        state = json.loads(run("runc", "state", NAME).stdout)
        proc = {"processes": [process(pid) for pid in pids], "ipc": ipc(state["pid"]), "sockets": sockets(state["pid"])}
        done = subprocess.run(
            ["runc", "checkpoint", "--image-path", IMAGES, "--work-path", f"{HERE}/work", "--tcp-established", "--file-locks", NAME],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode != 0:
            raise SystemExit(text(done.stdout) + read(f"{HERE}/work/dump.log")[-3000:])
    finally:
        subprocess.run(["runc", "delete", "--force", NAME], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        data = json.dumps(proc).encode()
        member = tarfile.TarInfo("proc.json")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
        archive.add(IMAGES, "checkpoint")
        archive.add(f"{HERE}/work/stats-dump", "stats-dump")
    print(base64.b64encode(packed.getvalue()).decode())


try:
    main()
finally:
    shutil.rmtree(HERE, ignore_errors=True)
