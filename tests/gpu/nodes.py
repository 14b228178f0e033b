"""Nodes of a training step by provider and operator, from ONNX Runtime's profiles.

    python3 nodes.py FOLDER STEPS [LOGS]

FOLDER holds the profiles of STEPS steps; LOGS is a folder for the time of each node.
"""
import collections
import glob
import json
import os
import statistics
import sys

folder, steps = sys.argv[1], int(sys.argv[2])
logs = sys.argv[3] if len(sys.argv) > 3 else ""
for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
    providers, counts, times = collections.Counter(), collections.Counter(), collections.defaultdict(list)
    for event in json.load(open(path)):
        name, what = event.get("name", ""), event.get("args", {})
        if event.get("cat") != "Node" or not name.endswith("_kernel_time"):
            continue
        kind = what.get("op_name", "?")
        providers[what.get("provider", "?")] += 1
        counts[kind] += 1
        times[kind, name.removesuffix("_kernel_time"), str(what.get("input_type_shape", ""))[:300]].append(event["dur"])
    if not providers:
        continue
    each = {key: statistics.median(t) * len(t) / steps / 1000 for key, t in times.items()}
    kinds = collections.Counter()
    for (kind, _, _), t in each.items():
        kinds[kind] += t
    graph = os.path.basename(path).split("_")[0]
    print(f"{graph}: " + ", ".join(f"{name} {n / steps:.0f}" for name, n in providers.most_common())
          + f"; {sum(kinds.values()):.2f} ms")
    rows = [f"{kind} {counts[kind] / steps:.0f}x {t:.3f} ms" for kind, t in kinds.most_common()]
    print("  " + ", ".join(rows[:14]))
    if logs:
        with open(os.path.join(logs, "nodes.txt"), "a") as out:
            print(f"== {path}", *rows, sep="\n", file=out)
            for key, t in sorted(each.items(), key=lambda row: -row[1])[:200]:
                print(f"{t:.4f}", *key, file=out)
