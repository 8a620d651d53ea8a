# A real process of so many MiB: rows as a session store has them, 1 KiB each, no two alike, a needle in the last one.
import sys, time

mib, ready = int(sys.argv[1]), sys.argv[2]
rows = []
for i in range(mib * 1024):
    token = (i * 2654435761) ** 3 % 2**128
    row = "session:%010d token=%032x user=user%07d@example.com " % (i, token, i % 999983)
    rows.append(row.ljust(950, chr(97 + i % 26)) + "%09d" % i)
rows.append("needle-" + "in-the-last-row")
open(ready, "w").write("ready")
while True:
    time.sleep(1)
