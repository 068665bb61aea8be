"""Draws what rescale.py has seen: rescale_picture.py SEEN.json PICTURE.svg. Needs matplotlib, of the peers."""
import json
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "seseragi"  # the same figures, the same file
import matplotlib.pyplot as plt

seen = json.load(open(sys.argv[1]))
figure, (river, trainer) = plt.subplots(2, 1, figsize=(9, 6), layout="constrained")

# A second's worth of documents at a time: pages differ in length.
looks, begun = seen["seen"], seen["seen"][0][0]
points, last = [], looks[0]
for look in looks[1:]:
    if look[0] - last[0] >= 1.0:
        points.append(((look[0] + last[0]) / 2 - begun, (look[1] - last[1]) / (look[0] - last[0])))
        last = look
river.plot(*zip(*points), color="#0072B2")
river.set(ylabel="documents in words a second", title="a river that is bound by the CPU", ylim=(0, None))
workers = river.twinx()
workers.step([look[0] - begun for look in looks], [look[2] for look in looks], where="post", color="#D55E00", linestyle="--")
workers.set(ylabel="workers (dashed)", ylim=(0, max(look[2] for look in looks) + 1))
for count, at in seen["scaled"]:
    river.axvline(at - begun, color="grey", linewidth=0.5)
    river.annotate(f"scale {count}", (at - begun, 0), xytext=(3, 3), textcoords="offset points", fontsize=8)

begun = seen["steps"][0][0]
trainer.plot([at - begun for at, _ in seen["steps"]], [gap * 1e3 for _, gap in seen["steps"]], ".", markersize=2, color="#0072B2")
trainer.axhline(seen["p99"] * 1e3, color="#D55E00", linestyle="--", label="p99 outside rescales")
for count, since, until in seen["changes"]:
    trainer.axvspan(since - begun, until - begun, color="lightgrey")
    trainer.annotate(f"scale {count}", (until - begun, 0), xytext=(3, 3), textcoords="offset points", fontsize=8)
trainer.set(xlabel="seconds", ylabel="gap between steps, ms", ylim=(0, None), title="a trainer, while its workers are rescaled")
trainer.legend(loc="upper right")
figure.savefig(sys.argv[2], metadata={"Date": None})
