"""A gateway whose filters, routes and pools lie in files, and pushes of others, swapped as a whole as Kubernetes does it."""
import json
import os
import subprocess
import time

import limiters
from drill_world import PRIMARY, SECONDARY, WORKERS, World
from machine import ROOT, Envoy, free_port, manager

LIMIT = 10**14
# Says which budget is in force.
LIMIT_HEADER = "x-ratelimit-limit-requests"


class PushedWorld(World):
    """A `dynamic` folder is like a mounted ConfigMap: its files are links into `..data`, a link that a push replaces."""

    def start(self) -> Envoy:
        self.port, self.admin, self.pushes, self.limit = free_port(), free_port(), 0, LIMIT
        self.folder = self.machine.work / f"{self.name}-files"
        dynamic = self.folder / "dynamic"
        dynamic.mkdir(parents=True)
        self.push()
        for file in (dynamic / "..data").iterdir():
            (dynamic / file.name).symlink_to(f"..data/{file.name}")
        # As in envoy/docker/entrypoint: else what Envoy does not know is left out with a warning.
        return self.machine.run(self.name, self.folder / "envoy.yaml", self.port, self.admin, WORKERS, "--reject-unknown-dynamic-fields")

    def change(self, config: dict) -> None:
        super().change(config)
        for entry in manager(config)["http_filters"]:
            if entry["name"].startswith("tollgate."):
                # In one line, which keeps the form that `scripts/render --split` goes by.
                limiters.set_policy(entry, json.loads(entry["typed_config"]["config"]["configuration"]["value"]))
        budget = limiters.ours(config, "budget")
        policy = json.loads(budget["typed_config"]["config"]["configuration"]["value"])
        next(rule for rule in policy["rules"] if rule["unit"] == "requests")["limit"] = self.limit
        limiters.set_policy(budget, policy)

    def push(self, edit=lambda name, text: text) -> float:
        """What follows from this world's settings now; `edit` has the last word over each file. When it was there."""
        self.pushes += 1
        path = self.machine.configuration(f"{self.name}-{self.pushes}", self.port, self.admin, self.change)
        made, dynamic = self.folder / f"push-{self.pushes}", self.folder / "dynamic"
        subprocess.run([str(ROOT / "scripts/render"), "--split", str(path), str(made)], check=True)
        if self.pushes == 1:
            (self.folder / "envoy.yaml").write_text((made / "envoy.yaml").read_text().replace(str(made / "dynamic"), str(dynamic)))
        data = dynamic / f"..{self.pushes}"
        data.mkdir()
        for file in (made / "dynamic").iterdir():
            (data / file.name).write_text(edit(file.name, file.read_text().replace(str(made / "dynamic"), str(dynamic))))
        link = dynamic / "..new"
        link.symlink_to(data.name)
        at = time.time()
        os.rename(link, dynamic / "..data")
        return at

    def turn_round(self) -> float:
        """Who was asked second is asked first."""
        self.priorities = [[SECONDARY], [PRIMARY]]
        return self.push()

    def tighten(self) -> float:
        self.limit = LIMIT - 1
        return self.push()

    def stat(self, ending: str) -> int:
        """The sum of Envoy's own counters whose names end so."""
        page = self.envoy.page(f"/stats?filter={ending}$")
        return sum(int(line.rpartition(": ")[2]) for line in page.splitlines() if line.rpartition(": ")[2].isdigit())
