# Two threads that wait for each other's Locks, two for each other's RLocks; then the file of its argument is made.
import sys, threading, time


def take(first, second):
    with first:
        time.sleep(0.2)
        with second:
            pass


def pair(make, kind):
    one, two = make(), make()
    for name, locks in [("forwards", (one, two)), ("backwards", (two, one))]:
        threading.Thread(target=take, args=locks, name=f"{kind} {name}", daemon=True).start()


pair(threading.Lock, "lock")
pair(threading.RLock, "rlock")
time.sleep(1)
if len(sys.argv) > 1:
    open(sys.argv[1], "w").close()
time.sleep(1e6)
