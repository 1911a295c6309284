"""Packages of npm that some tests run. They are kept in the cache ($HENGE_CACHE, else ~/.cache/henge). Node.js and npm must be there (tools/install-deps test
installs them); where the packages cannot be fetched, the test that wants them says so and is skipped."""
import os
import shutil
import subprocess

import harness

PLYWOOD = ["plywood@0.33.3", "plywood-druid-requester@3.0.2"]


def fetch(wanted):
    """The folder whose node_modules has the packages; made the first time."""
    cache = harness.cache_dir("npm")
    folder = os.path.join(cache, "+".join(wanted))
    done = os.path.join(folder, "done")
    with harness.file_lock(os.path.join(cache, "lock")):
        if not os.path.exists(done):
            print(f"fetching {', '.join(wanted)} from npm", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
            with open(os.path.join(folder, "package.json"), "w", encoding="utf-8") as f:
                f.write('{"private": true}\n')
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=20000", *wanted], cwd=folder, check=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
            with open(done, "w", encoding="utf-8"):
                pass
    return folder


def load(wanted):
    """(folder, None), or (None, why the packages cannot be fetched). Without Node.js the test fails."""
    for command in ("node", "npm"):
        harness.check(shutil.which(command), f"{command} is not installed; tools/install-deps test installs it")
    try:
        return fetch(wanted), None
    except (subprocess.SubprocessError, OSError) as e:
        said = (getattr(e, "output", None) or b"").decode("utf-8", "replace").strip().splitlines()
        return None, f"{wanted[0]} is not installed and cannot be fetched: {said[-1] if said else e}"


if __name__ == "__main__":
    where, why_not = load(PLYWOOD)
    print(*PLYWOOD, "are there" if where else f"are not there, the test that runs them is skipped: {why_not}")
