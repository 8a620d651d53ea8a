# On a node: runs a command in a container of runc until it has made /tmp/ready, and dumps it. Prints a tar archive in base64 of CRIU's
# images in checkpoint/. `take.py COMMAND…`: files beside this one are at /w in the container, the node's /usr and /etc where it has them.
import base64, io, json, os, shutil, subprocess, sys, tarfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = os.path.basename(HERE)
ROOT = f"{HERE}/bundle/rootfs"


def run(*words, **options):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


def bundle(command):
    os.makedirs(ROOT)
    run("runc", "spec", cwd=f"{HERE}/bundle")
    with open(f"{HERE}/bundle/config.json") as file:
        spec = json.load(file)
    spec["process"].update(terminal=False, args=["/bin/sh", "-c", 'exec "$@" >/tmp/out 2>&1', "sh", *command], env=["PATH=/usr/bin:/bin"])
    spec["root"]["readonly"] = False
    for source, target in [("/usr", "/usr"), ("/etc", "/etc"), (HERE, "/w")]:
        os.makedirs(ROOT + target, exist_ok=True)
        spec["mounts"].append({"destination": target, "type": "bind", "source": source, "options": ["rbind", "ro"]})
    for link in ["bin", "lib", "lib64", "sbin"]:
        os.symlink(f"usr/{link}", f"{ROOT}/{link}")
    os.makedirs(f"{ROOT}/tmp")
    os.chmod(f"{ROOT}/tmp", 0o1777)
    spec["linux"].pop("seccomp", None)
    spec["linux"]["namespaces"] = [space for space in spec["linux"]["namespaces"] if space["type"] != "cgroup"]
    spec["linux"]["cgroupsPath"] = f"/{NAME}"
    with open(f"{HERE}/bundle/config.json", "w") as file:
        json.dump(spec, file)


def main(command):
    # CRIU dumps no files of the node: what the command prints goes to one of its own.
    bundle(command)
    with open(f"{HERE}/out", "wb") as out:
        began = subprocess.run(["runc", "run", "-d", NAME], cwd=f"{HERE}/bundle", stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    if began.returncode != 0:
        raise SystemExit("runc run: " + open(f"{HERE}/out").read())
    try:
        for _ in range(300):
            if os.path.exists(f"{ROOT}/tmp/ready"):
                break
            time.sleep(0.1)
        else:
            raise SystemExit("not ready: " + open(f"{HERE}/out").read())
        done = subprocess.run(
            ["runc", "checkpoint", "--image-path", f"{HERE}/images", "--work-path", f"{HERE}/work", "--ext-unix-sk", NAME],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode != 0:
            raise SystemExit(done.stdout.decode() + open(f"{HERE}/work/dump.log").read()[-600:])
    finally:
        subprocess.run(["runc", "delete", "--force", NAME], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        archive.add(f"{HERE}/images", "checkpoint")
    print(base64.b64encode(packed.getvalue()).decode())


try:
    main(sys.argv[1:])
finally:
    shutil.rmtree(HERE, ignore_errors=True)
