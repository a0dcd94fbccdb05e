"""What each way of reserving for output costs in a simulated load: how far budgets are overrun, and who is refused for nothing.

The simulation is filters/budget/examples/simulate-estimates; here are its table and its plot.
"""
import argparse
import json
import pathlib
import subprocess

import pygal

COLUMNS = [
    ("time over limit", "over_limit_time", "{:.2f} %"),
    ("highest overshoot, mean", "mean_overshoot", "{:.1f} %"),
    ("worst", "overshoot", "{:.0f} %"),
    ("refused", "refused", "{:.1f} %"),
    ("false rejects", "false_rejects", "{:.1f} %"),
    ("admitted, of the oracle's", "admitted", "{:.1f} %"),
    ("reserved/used", "reserved_to_used", "{:.2f}"),
]
# Shown by kind of tenant.
COMPARED = ["no reservation", "declared maximum", "fixed 256", "fixed 1024", "learned 80 %"]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulation", required=True)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1, help="all chance comes from it")
    parser.add_argument("--hours", type=int, default=4, help="simulated hours")
    parser.add_argument("--workers", type=int, default=4, help="workers, each of which learns alone")
    return parser.parse_args()


def show(budget: dict) -> None:
    print(f"\nBudgets in {budget['unit']} (a token of output weighs {budget['output_weight']}):\n")
    print("| policy | " + " | ".join(title for title, _, _ in COLUMNS) + " |")
    print("|---|" + "---:|" * len(COLUMNS))
    for row in budget["policies"]:
        print(f"| {row['policy']} | " + " | ".join(form.format(row[name]) for _, name, form in COLUMNS) + " |")


def show_tenants(budget: dict) -> None:
    rows = {row["policy"]: row["tenants"] for row in budget["policies"]}
    print(f"\nTime over limit / false rejects by kind of tenant, budgets in {budget['unit']}, in percent:\n")
    print("| tenant | " + " | ".join(COMPARED) + " |")
    print("|---|" + "---:|" * len(COMPARED))
    for tenant in rows[COMPARED[0]]:
        cells = (rows[policy][tenant] for policy in COMPARED)
        print(f"| {tenant} | " + " | ".join(f"{cell['over_limit_time']:.2f} / {cell['false_rejects']:.1f}" for cell in cells) + " |")


def draw(budgets: list[dict], path: pathlib.Path) -> None:
    """Both are to be small: the best policy stands next to the corner. Check-then-count lies off the scale."""
    chart = pygal.XY(
        title="Overrun and refused for nothing", x_title="calls refused that would have fitted, %", y_title="time over the limit, %",
        stroke=False, dots_size=4, legend_at_bottom=True, legend_at_bottom_columns=3, range=(0, 3),
    )
    for budget in budgets:
        for row in budget["policies"]:
            if row["policy"] not in ("oracle", "no reservation") and "," not in row["policy"]:
                chart.add(f"{row['policy']} ({budget['unit']})", [(row["false_rejects"], row["over_limit_time"])])
    chart.render_to_file(str(path))


def main() -> None:
    settings = options()
    arguments = [f"--{name}={getattr(settings, name)}" for name in ("seed", "hours", "workers")]
    report = json.loads(subprocess.run([settings.simulation, *arguments], check=True, stdout=subprocess.PIPE).stdout)
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / "bench-estimates.json").write_text(json.dumps(report, indent=2))
    draw(report["budgets"], settings.out / "bench-estimates.svg")
    for budget in report["budgets"]:
        show(budget)
    show_tenants(report["budgets"][-1])
    print(f"\n{report['calls']} calls in {settings.hours} simulated hours, {settings.workers} workers, seed {settings.seed}; {settings.out}/bench-estimates.json, {settings.out}/bench-estimates.svg")


if __name__ == "__main__":
    main()
