#!/usr/bin/env python3
"""Runs a command with a PostgreSQL server of its own; HENGE_TEST_POSTGRES names it.

    tests/integration/with_postgres.py COMMAND [ARGUMENT...]
"""
import os
import subprocess
import sys

import harness
from postgres import Postgres


def run(env):
    status = subprocess.call(sys.argv[1:], env={**os.environ, "HENGE_TEST_POSTGRES": Postgres(env).url})
    harness.check(status == 0, f"{os.path.basename(sys.argv[1])}: exit status {status}")


if len(sys.argv) < 2:
    sys.exit(__doc__)
sys.exit(0 if harness.run_one("with-postgres", run, ".", keep=False) else 1)
