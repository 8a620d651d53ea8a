#!/usr/bin/python3
"""An OCI runtime for machines that lack CAP_SYS_RESOURCE: takes out of config.json what they cannot give, and becomes PROGRAM.real."""
import json
import os
import sys

program = os.path.realpath(__file__)
arguments = sys.argv[1:]
bundle = None
for index, argument in enumerate(arguments):
    if argument in ("--bundle", "-b"):
        bundle = arguments[index + 1]
    elif argument.startswith("--bundle="):
        bundle = argument.split("=", 1)[1]

if bundle and {"create", "run", "restore"} & set(arguments):
    path = os.path.join(bundle, "config.json")
    with open(path) as file:
        config = json.load(file)
    process = config.get("process", {})
    for kind, names in (process.get("capabilities") or {}).items():
        process["capabilities"][kind] = [name for name in names if name != "CAP_SYS_RESOURCE"]
    if process.get("oomScoreAdj", 0) < 0:
        process["oomScoreAdj"] = 0
    with open(path, "w") as file:
        json.dump(config, file)

os.execv(program + ".real", [program] + arguments)
