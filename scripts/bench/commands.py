"""How soon commands answer, and how soon a small run takes its first step: what start.py finds, judged."""
import sys

from rig import ROOT, Finding, Trouble, at_most


def measure(rig):
    script = ROOT / "scripts/bench/start.py"
    if not script.exists():
        raise Trouble(f"there is no {script.relative_to(ROOT)}")
    table = rig.run([sys.executable, script, "--program", rig.seseragi]).out.strip()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    median = {name.strip("`"): float(milliseconds.replace(",", "")) for name, milliseconds, *_ in cells}
    finding = Finding("Start", text=table, notes=["Each command's whole process, from before it is started until it has ended."])
    for name, milliseconds in median.items():
        if "step" in name:
            finding.promises.append(at_most("a run over 10 small files: its first step in < 1.5 s", milliseconds / 1e3, 1.5, " s"))
        elif name != "true" and "engine" not in name:
            finding.promises.append(at_most(f"`{name}` answers within 50 ms", milliseconds, 50, " ms"))
    return finding
