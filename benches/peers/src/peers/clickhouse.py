"""Holds a ClickHouse (chdb) in a process of its own: a line of JSON with statements in, a line of JSON with rows out."""

import json
import sys
import time

from chdb.session import Session

session = Session(sys.argv[1])
for line in sys.stdin:
    try:
        start = time.perf_counter()
        text = str(session.query(json.loads(line)["sql"], "JSONCompactEachRow"))
        seconds = time.perf_counter() - start
        answer = {"seconds": seconds, "rows": [json.loads(row) for row in text.splitlines() if row]}
    except Exception as failure:  # whatever it is, who asked is told
        answer = {"error": str(failure)}
    print(json.dumps(answer), flush=True)
