"""Packages of the Python index that some tests compare with. They are kept in a virtual environment in the cache ($HENGE_CACHE, else
~/.cache/henge); where one cannot be had, the test that wants it says so and is skipped."""
import importlib
import os
import subprocess
import sys

import harness

WANTED = {"datasketches": "datasketches==5.2.0", "pydruid": "pydruid==0.6.9"}


def fetch(name):
    """The folder of the virtual environment that has the package; made the first time."""
    cache = harness.cache_dir("python")
    venv = os.path.join(cache, f"{WANTED[name]}-py{sys.version_info[0]}.{sys.version_info[1]}")
    site = os.path.join(venv, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
    done = os.path.join(venv, "done")
    with harness.file_lock(os.path.join(cache, "lock")):
        if not os.path.exists(done):
            print(f"fetching {WANTED[name]} from the Python index", flush=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
            subprocess.run([os.path.join(venv, "bin", "pip"), "install", "-q", "--disable-pip-version-check", "--retries", "1", "--timeout", "20", WANTED[name]],
                           check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
            with open(done, "w", encoding="utf-8"):
                pass
    return site


def load(name):
    """(module, None), or (None, why not)."""
    try:
        return importlib.import_module(name), None
    except ImportError:
        pass
    try:
        site = fetch(name)
        if site not in sys.path:
            sys.path.append(site)
        return importlib.import_module(name), None
    except (subprocess.SubprocessError, OSError, ImportError) as e:
        said = (getattr(e, "output", None) or b"").decode("utf-8", "replace").strip().splitlines()
        return None, f"{WANTED[name]} is not installed and cannot be fetched: {said[-1] if said else e}"


if __name__ == "__main__":
    for package in WANTED:
        print(package, *(["is there"] if load(package)[0] else ["is not there, tests that compare with it are skipped:", load(package)[1]]))
