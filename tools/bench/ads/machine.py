"""What the machine is, and how fast it reads memory."""
import json
import os
import platform
import subprocess
import threading
import time

import numpy as np


def first(path, key, default="?"):
    try:
        with open(path, encoding="utf-8") as f:
            return next((line.split(":", 1)[1].strip() for line in f if line.startswith(key)), default)
    except OSError:
        return default


def read_rate(threads, seconds=1.0):
    """Bytes a second that so many threads read of memory, each of its own 512 MiB: the best of the passes within the time."""
    of_each = [np.ones(1 << 26, dtype=np.int64) for _ in range(threads)]
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        workers = [threading.Thread(target=np.max, args=(a,)) for a in of_each]
        began = time.perf_counter()
        for w in workers:
            w.start()
        for w in workers:
            w.join()
        best = max(best, sum(a.nbytes for a in of_each) / (time.perf_counter() - began))
    return best


def read_rates(build):
    """By one thread and by two: the kernel benchmark's loop where it has been built, else one of numpy's, which is nearly as fast."""
    kernel = os.path.join(build, "tools", "henge-bench-kernel")
    if os.path.exists(kernel):
        said = json.loads(subprocess.run([kernel, "--read"], stdout=subprocess.PIPE, check=True).stdout)
        return said["read_1"], said["read_2"]
    return read_rate(1), read_rate(2)


def describe(build):
    one, two = read_rates(build)
    flags = first("/proc/cpuinfo", "flags", "").split()
    simd = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    memory = int(first("/proc/meminfo", "MemTotal", "0 kB").split()[0]) / 2 ** 20
    return {"cpu": first("/proc/cpuinfo", "model name"), "cores": os.cpu_count(), "simd": simd, "memory_gib": round(memory), "kernel": platform.release(),
            "read_1": one, "read_2": two, "load": os.getloadavg()[0]}


def sentence(m):
    return (f"{m['cpu']}, {m['cores']} cores, {m['simd']}, {m['memory_gib']} GiB, Linux {m['kernel']}; memory is read at {m['read_1'] / 1e9:.1f} GB/s by one thread and "
            f"{m['read_2'] / 1e9:.1f} GB/s by two; load {m['load']:.2f} when the run began")
