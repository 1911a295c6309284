"""Druid's operational paths as data: what is asked, and the status, type and shape of the answer. The table was learned from Apache Druid 33 and holds for it and for Henge; where the two differ on
purpose a row has `druid=`, what Druid answers there.

A shape is a type (int, str, bool, NUMBER), a value, a dict (these keys, others may be there too), Each(shape), Map(shape), Either(...), Text(regular expression, of the whole body) or EMPTY."""
import http.client
import json
import re
import urllib.parse

NUMBER = (int, float)
EMPTY = object()
ANY = object()
JSON, PLAIN = "application/json", "text/plain"


class Each:
    def __init__(self, shape, least=0):
        self.shape, self.least = shape, least


class Map:
    def __init__(self, shape, keys=".*", least=0):
        self.shape, self.keys, self.least = shape, re.compile(keys), least


class Either:
    def __init__(self, *shapes):
        self.shapes = shapes


class Text:
    def __init__(self, pattern):
        self.pattern = re.compile(pattern, re.S)


class String:
    def __init__(self, pattern):
        self.pattern = re.compile(pattern)


def wrong(shape, v, at="$"):
    """Why v has not the shape; None when it has."""
    if shape is ANY:
        return None
    if isinstance(shape, Either):
        why = [wrong(s, v, at) for s in shape.shapes]
        return None if None in why else " and ".join(why)
    if isinstance(shape, String):
        return None if isinstance(v, str) and shape.pattern.fullmatch(v) else f"{at} is {v!r}, not like {shape.pattern.pattern}"
    if isinstance(shape, Each):
        if not isinstance(v, list) or len(v) < shape.least:
            return f"{at} is {str(v)[:80]}, want an array of at least {shape.least}"
        return next((w for w in (wrong(shape.shape, x, f"{at}[{i}]") for i, x in enumerate(v)) if w), None)
    if isinstance(shape, Map):
        if not isinstance(v, dict) or len(v) < shape.least:
            return f"{at} is {str(v)[:80]}, want an object of at least {shape.least}"
        for key, x in v.items():
            if not shape.keys.fullmatch(key):
                return f"{at} has the key {key!r}, not like {shape.keys.pattern}"
            if w := wrong(shape.shape, x, f"{at}.{key}"):
                return w
        return None
    if isinstance(shape, dict):
        if not isinstance(v, dict):
            return f"{at} is {str(v)[:80]}, want an object"
        missing = [k for k in shape if k not in v]
        if missing:
            return f"{at} lacks {', '.join(missing)}"
        return next((w for w in (wrong(s, v[k], f"{at}.{k}") for k, s in shape.items()) if w), None)
    if isinstance(shape, list):
        if not isinstance(v, list) or len(v) != len(shape):
            return f"{at} is {str(v)[:200]}, want {len(shape)} items"
        return next((w for w in (wrong(s, x, f"{at}[{i}]") for i, (s, x) in enumerate(zip(shape, v))) if w), None)
    if isinstance(shape, (type, tuple)):
        kinds = shape if isinstance(shape, tuple) else (shape,)
        return None if isinstance(v, kinds) and (bool in kinds or not isinstance(v, bool)) else f"{at} is {v!r}, want {shape}"
    return None if v == shape and isinstance(v, bool) == isinstance(shape, bool) else f"{at} is {v!r}, want {shape!r}"


class Row:
    def __init__(self, role, ask, status, shape=EMPTY, body=None, ctype=JSON, druid=None):
        self.role, (self.method, self.path), self.status, self.shape, self.body, self.ctype, self.druid = role, ask.split(" ", 1), status, shape, body, ctype, druid

    def wanted(self, from_druid):
        """(statuses, content type or None: whatever, shape)"""
        if from_druid and self.druid is not None:
            return (self.druid, None, ANY) if isinstance(self.druid, int) else self.druid
        return self.status, self.ctype, self.shape


def fill(x, names):
    """Puts names into {these} of texts, at any depth of a shape."""
    if isinstance(x, str):
        return re.sub(r"\{(\w+)\}", lambda m: names.get(m[1], m[0]), x)
    if isinstance(x, dict):
        return {fill(k, names): fill(v, names) for k, v in x.items()}
    if isinstance(x, list):
        return [fill(v, names) for v in x]
    if isinstance(x, Each):
        return Each(fill(x.shape, names), x.least)
    if isinstance(x, Map):
        return Map(fill(x.shape, names), x.keys.pattern, x.least)
    if isinstance(x, Either):
        return Either(*(fill(s, names) for s in x.shapes))
    if isinstance(x, Text):
        return Text(re.sub(r"\{(\w+)\}", lambda m: re.escape(names[m[1]]) if m[1] in names else m[0], x.pattern.pattern))
    return x


def ask(base, method, path, body=None, timeout=60):
    """(status, content type without parameters, text)"""
    u = urllib.parse.urlparse(base)
    c = http.client.HTTPConnection(u.hostname, u.port, timeout=timeout)
    try:
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        c.request(method, path, text, {} if text is None else {"Content-Type": JSON})
        r = c.getresponse()
        kind = r.getheader("Content-Type")
        return r.status, kind.split(";")[0] if kind else None, r.read().decode("utf-8", "replace")
    finally:
        c.close()


def fault(row, bases, names, from_druid=False):
    """What is wrong with the answer to one row; None: nothing."""
    path, body = fill(row.path, names), fill(row.body, names)
    try:
        status, kind, text = ask(bases[row.role], row.method, path, body)
    except (OSError, http.client.HTTPException) as e:
        return f"{row.role}: {row.method} {path}: {e!r}"
    want, ctype, shape = row.wanted(from_druid)
    shape = fill(shape, names)
    said = f"{row.role}: {row.method} {path} {body if body is not None else ''}: {status} {kind} {text[:300]!r}"
    if status != want and not (isinstance(want, tuple) and status in want):
        return f"{said}; want the status {want}"
    if ctype and text and kind != ctype:
        return f"{said}; want the type {ctype}"
    if shape is ANY:
        return None
    if shape is EMPTY:
        return f"{said}; want no body" if text.strip() else None
    if isinstance(shape, Text):
        return None if shape.pattern.fullmatch(text) else f"{said}; want text like {shape.pattern.pattern}"
    try:
        value = json.loads(text)
    except ValueError:
        return f"{said}; that is no JSON"
    why = wrong(shape, value)
    return f"{said}; {why}" if why else None


# ---- shapes ----

TIME = String(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
INTERVAL = String(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
INTERVALS = r"\d{4}-\d\d-\d\dT00:00:00\.000Z/\d{4}-\d\d-\d\dT00:00:00\.000Z"
ADDRESS = String(r"[^/ ]+:\d+")
DAY1 = "2024-03-08T00:00:00.000Z/2024-03-09T00:00:00.000Z"
COUNTED = {"size": int, "count": int}
DAY1_COUNTED = {"size": int, "count": 1}
SEGMENT = {"dataSource": str, "interval": INTERVAL, "version": str, "loadSpec": {"type": str}, "dimensions": str, "metrics": str, "shardSpec": {"type": str, "partitionNum": int},
           "binaryVersion": 9, "size": int, "identifier": str}
MINE = {**SEGMENT, "dataSource": "{ds}", "dimensions": "country,device", "metrics": "events,clicks"}
SUMMARY = {"tiers": {"_default_tier": {"size": int, "replicatedSize": int, "segmentCount": 3}},
           "segments": {"count": 3, "size": int, "replicatedSize": int, "minTime": "2024-03-08T00:00:00.000Z", "maxTime": "2024-03-11T00:00:00.000Z"}}
WITH_SERVERS = {"metadata": MINE, "servers": Each(ADDRESS, 1)}
SERVER = {"host": ADDRESS, "tier": str, "type": Either("historical", "indexer-executor", "realtime"), "priority": int, "currSize": int, "maxSize": int}
LOCATION = {"name": ADDRESS, "host": ADDRESS, "hostAndTlsPort": None, "maxSize": int, "type": str, "tier": str, "priority": int}
CANDIDATE = {"interval": INTERVAL, "version": str, "partitionNumber": int, "size": int, "locations": Each(LOCATION, 1)}
NODE = {"host": str, "service": str, "plaintextPort": int}
RULE = {"type": str, "tieredReplicants": Map(int), "useDefaultTierForNull": bool}
PLACE = {"host": Either(str, None), "port": int, "tlsPort": int}
TASK = {"id": "{task}", "groupId": "{task}", "type": "index_parallel", "createdTime": TIME, "queueInsertionTime": TIME, "statusCode": "SUCCESS", "status": "SUCCESS",
        "runnerStatusCode": Either("NONE", "WAITING"), "duration": int, "location": PLACE, "dataSource": "{ds}", "errorMsg": None}
ANY_TASK = {**TASK, "id": str, "groupId": str, "type": str, "statusCode": str, "status": str, "runnerStatusCode": Either(str, None), "dataSource": str, "errorMsg": Either(str, None)}
ROW_STATS = {"processed": int, "processedBytes": int, "processedWithError": int, "thrownAway": int, "unparseable": int}
ERROR = {"error": str}
DRUID_ERROR = {"error": "druidException", "errorCode": str, "persona": "USER", "category": str, "errorMessage": str, "context": {}}
COLUMNS = {"dimensions": Each(str), "metrics": Each(str)}
LOST = Text(r"Cannot find any task with id: \[nope\]")
NO_SUPERVISOR = Text(r"Cannot find any supervisor with id: \[nope\]")
REFUSAL = Text("Invalid request payload. Specify either 'interval' or 'segmentIds', but not both.*")
MEMORY = {"maxMemory": int, "totalMemory": int, "freeMemory": int, "usedMemory": int, "directMemory": int}

C, O, B, H, W = "coordinator", "overlord", "broker", "historical", "worker"
PC, PO = "/druid/coordinator/v1", "/druid/indexer/v1"
IN = "interval=2024-03-01/2024-04-01"
BAD_INTERVAL = 500  # Druid: an HTML page


def common():
    for role in (C, O, B, H):
        yield Row(role, "GET /status", 200, {"version": str, "modules": Each({"name": str, "artifact": Either(str, None), "version": Either(str, None)}), "memory": MEMORY})
        yield Row(role, "GET /status/health", 200, True)
        yield Row(role, "GET /status/properties", 200, Map(str, least=1))
        yield Row(role, "GET /status/selfDiscovered", 200)
        yield Row(role, "GET /status/selfDiscovered/status", 200, {"selfDiscovered": True})
        yield Row(role, "DELETE /status", 405, ctype=None)
        yield Row(role, "GET /no/such/path", 404, ctype=None, druid=404)


COORDINATOR = [
    Row(C, f"GET {PC}/leader", 200, Text(r"https?://[^ ]+:\d+")),
    Row(C, f"GET {PC}/isLeader", 200, {"leader": True}),
    Row(C, f"GET {PC}/loadstatus", 200, {"{ds}": 100.0}),
    Row(C, f"GET {PC}/loadstatus?simple", 200, {"{ds}": 0}),
    Row(C, f"GET {PC}/loadstatus?full", 200, {"_default_tier": {"{ds}": int}}),
    Row(C, f"GET {PC}/loadstatus?full&computeUsingClusterView", 200, {"_default_tier": {"{ds}": 0}}),
    Row(C, f"GET {PC}/loadqueue", 200, Map({"segmentsToLoad": list, "segmentsToDrop": list}, least=1)),
    Row(C, f"GET {PC}/loadqueue?simple", 200, Map({"segmentsToLoad": int, "segmentsToDrop": int, "segmentsToLoadSize": int, "segmentsToDropSize": int}, least=1)),
    # datasources
    Row(C, f"GET {PC}/datasources", 200, Each(str, 1)),
    Row(C, f"GET {PC}/datasources?simple", 200, Each({"name": str, "properties": {"tiers": Map({"size": int, "replicatedSize": int, "segmentCount": int}), "segments": {"count": int, "size": int,
        "replicatedSize": int, "minTime": TIME, "maxTime": TIME}}}, 1)),
    Row(C, f"GET {PC}/datasources?full", 200, Each({"name": str, "properties": Map(str), "segments": Each(SEGMENT, 1)}, 1)),
    Row(C, f"GET {PC}/datasources/{{ds}}", 200, SUMMARY),
    Row(C, f"GET {PC}/datasources/{{ds}}?full", 200, {"name": "{ds}", "properties": {}, "segments": Each(MINE, 3)}),
    Row(C, f"GET {PC}/datasources/nope", 204),
    Row(C, f"GET {PC}/datasources/nope?full", 204),
    Row(C, f"GET {PC}/datasources/{{ds}}/intervals", 200, ["2024-03-10T00:00:00.000Z/2024-03-11T00:00:00.000Z", "2024-03-09T00:00:00.000Z/2024-03-10T00:00:00.000Z", DAY1]),
    Row(C, f"GET {PC}/datasources/{{ds}}/intervals?simple", 200, Map(DAY1_COUNTED, INTERVALS, 3)),
    Row(C, f"GET {PC}/datasources/{{ds}}/intervals?full", 200, Map(Map(WITH_SERVERS, least=1), INTERVALS, 3)),
    Row(C, f"GET {PC}/datasources/nope/intervals", 204),
    Row(C, f"GET {PC}/datasources/{{ds}}/intervals/2024-03-08_2024-03-09", 200, ["{seg}"]),
    Row(C, f"GET {PC}/datasources/{{ds}}/intervals/2024-03-08_2024-03-09?simple", 200, {DAY1: DAY1_COUNTED}),
    Row(C, f"GET {PC}/datasources/{{ds}}/intervals/2024-03-08_2024-03-09?full", 200, {DAY1: {"{seg}": WITH_SERVERS}}),
    Row(C, f"GET {PC}/datasources/{{ds}}/intervals/2024-03-08T12_2024-03-09?simple", 200, {}),
    Row(C, f"GET {PC}/datasources/{{ds}}/intervals/1999-03-08_1999-03-09", 200, []),
    Row(C, f"GET {PC}/datasources/{{ds}}/intervals/bogus", 400, ERROR, druid=BAD_INTERVAL),
    Row(C, f"GET {PC}/datasources/nope/intervals/2024-03-08_2024-03-09", 204),
    Row(C, f"GET {PC}/datasources/{{ds}}/intervals/2024-03-08_2024-03-09/serverview", 200, [{"segment": MINE, "servers": Each(LOCATION, 1)}]),
    Row(C, f"GET {PC}/datasources/nope/intervals/2024-03-08_2024-03-09/serverview", 200, []),
    Row(C, f"GET {PC}/datasources/{{ds}}/segments", 200, Each(str, 3)),
    Row(C, f"GET {PC}/datasources/{{ds}}/segments?full", 200, Each(MINE, 3)),
    Row(C, f"GET {PC}/datasources/{{ds}}/segments/{{seg}}", 200, WITH_SERVERS),
    Row(C, f"GET {PC}/datasources/{{ds}}/segments/nope", 204),
    Row(C, f"GET {PC}/datasources/nope/segments", 204),
    Row(C, f"GET {PC}/datasources/{{ds}}/tiers", 200, ["_default_tier"]),
    Row(C, f"GET {PC}/datasources/nope/tiers", 200, []),
    Row(C, f"GET {PC}/datasources/{{ds}}/loadstatus", 400, Text("Invalid request. forceMetadataRefresh must be specified")),
    Row(C, f"GET {PC}/datasources/{{ds}}/loadstatus?forceMetadataRefresh=true", 200, Text("No used segment found for the given datasource and interval")),
    Row(C, f"GET {PC}/datasources/{{ds}}/loadstatus?forceMetadataRefresh=true&{IN}", 200, {"{ds}": 100.0}),
    Row(C, f"GET {PC}/datasources/{{ds}}/loadstatus?forceMetadataRefresh=true&simple&{IN}", 200, {"{ds}": 0}),
    Row(C, f"GET {PC}/datasources/{{ds}}/loadstatus?forceMetadataRefresh=false&full&{IN}", 200, {"_default_tier": {"{ds}": int}}),
    Row(C, f"GET {PC}/datasources/nope/loadstatus?forceMetadataRefresh=true", 204),
    Row(C, f"GET {PC}/datasources/{{ds}}/loadstatus?forceMetadataRefresh=true&interval=bogus", 400, ERROR, druid=BAD_INTERVAL),
    # all intervals
    Row(C, f"GET {PC}/intervals", 200, Map(Map(COUNTED, least=1), least=3)),
    Row(C, f"GET {PC}/intervals/2024-03-08_2024-03-09", 200, COUNTED),
    Row(C, f"GET {PC}/intervals/2024-03-08_2024-03-09?simple", 200, {DAY1: COUNTED}),
    Row(C, f"GET {PC}/intervals/2024-03-08_2024-03-09?full", 200, {DAY1: {"{ds}": DAY1_COUNTED}}),
    Row(C, f"GET {PC}/intervals/1999-03-08_1999-03-09", 200, {}),
    Row(C, f"GET {PC}/intervals/bogus", 400, ERROR, druid=BAD_INTERVAL),
    # metadata
    Row(C, f"GET {PC}/metadata/segments", 200, Each(SEGMENT, 3)),
    Row(C, f"GET {PC}/metadata/segments?datasources={{ds}}", 200, [MINE, MINE, MINE]),
    Row(C, f"GET {PC}/metadata/segments?datasources={{ds}}&datasources=nope", 200, [MINE, MINE, MINE]),
    Row(C, f"GET {PC}/metadata/segments?datasources=nope", 200, []),
    Row(C, f"GET {PC}/metadata/segments?includeOvershadowedStatus&datasources={{ds}}", 200,
        [{**MINE, "overshadowed": False, "replicationFactor": Either(int, None), "numRows": Either(int, None), "realtime": False}] * 3),
    Row(C, f"GET {PC}/metadata/datasources", 200, Each(str, 1)),
    Row(C, f"GET {PC}/metadata/datasources?includeUnused", 200, Each(str, 1)),
    Row(C, f"GET {PC}/metadata/datasources?full", 200, Each({"name": str, "properties": {"created": TIME}, "segments": Each(SEGMENT, 1)}, 1)),
    Row(C, f"GET {PC}/metadata/datasources/{{ds}}", 200, {"name": "{ds}", "properties": {"created": TIME}, "segments": [MINE, MINE, MINE]}),
    Row(C, f"GET {PC}/metadata/datasources/nope", 404),
    Row(C, f"GET {PC}/metadata/datasources/{{ds}}/segments", 200, [str, str, str]),
    Row(C, f"GET {PC}/metadata/datasources/{{ds}}/segments?full", 200, [MINE, MINE, MINE]),
    Row(C, f"GET {PC}/metadata/datasources/nope/segments", 404),
    Row(C, f"GET {PC}/metadata/datasources/{{ds}}/segments/{{seg}}", 200, MINE),
    Row(C, f"GET {PC}/metadata/datasources/{{ds}}/segments/nope", 400, ERROR, druid=500),
    Row(C, f"POST {PC}/metadata/datasources/{{ds}}/segments", 200, ["{seg}"], body=["2024-03-08/2024-03-09"]),
    Row(C, f"POST {PC}/metadata/datasources/{{ds}}/segments?full", 200, [MINE], body=["2024-03-08/2024-03-09"]),
    Row(C, f"POST {PC}/metadata/datasources/nope/segments", 200, [], body=["2024-03-08/2024-03-09"]),
    Row(C, f"POST {PC}/metadata/datasources/{{ds}}/segments", 400, ERROR, body=["bogus"]),
    Row(C, f"GET {PC}/metadata/datasources/{{ds}}/unusedSegments", 200, []),
    Row(C, f"GET {PC}/metadata/datasources/nope/unusedSegments?limit=1", 200, []),
    Row(C, f"GET {PC}/metadata/datasources/{{ds}}/unusedSegments?interval=bogus", 400, DRUID_ERROR),
    Row(C, f"GET {PC}/metadata/datasources/{{ds}}/unusedSegments?sortOrder=bogus", 400, DRUID_ERROR),
    # servers
    Row(C, f"GET {PC}/servers", 200, Each(ADDRESS, 1)),
    Row(C, f"GET {PC}/servers?simple", 200, Each(SERVER, 1)),
    Row(C, f"GET {PC}/servers?full", 200, Each({**SERVER, "segments": Map(SEGMENT)}, 1)),
    Row(C, f"GET {PC}/servers/{{server}}", 200, {**SERVER, "segments": Map(SEGMENT, least=3)}),
    Row(C, f"GET {PC}/servers/{{server}}?simple", 200, SERVER),
    Row(C, f"GET {PC}/servers/{{server}}/segments", 200, Each(str, 3)),
    Row(C, f"GET {PC}/servers/{{server}}/segments?full", 200, Each(SEGMENT, 3)),
    Row(C, f"GET {PC}/servers/{{server}}/segments/{{seg}}", 200, MINE),
    Row(C, f"GET {PC}/servers/{{server}}/segments/nope", 404),
    Row(C, f"GET {PC}/servers/nope", 404),
    Row(C, f"GET {PC}/servers/nope/segments", 404),
    Row(C, f"GET {PC}/tiers", 200, ["_default_tier"]),
    Row(C, f"GET {PC}/tiers?simple", 200, {"_default_tier": {"currSize": int, "maxSize": int}}),
    Row(C, f"GET {PC}/tiers/_default_tier", 200, Each(str, 1)),
    Row(C, f"GET {PC}/tiers/_default_tier?simple", 200, {"{ds}": Map(DAY1_COUNTED, INTERVALS, 3)}),
    Row(C, f"GET {PC}/tiers/nope", 200, []),
    Row(C, f"GET {PC}/cluster", 200, {"coordinator": Each(NODE, 1), "overlord": Each(NODE, 1), "broker": Each(NODE, 1), "historical": Each(NODE, 1), "indexer": Each(NODE, 1)}),
    Row(C, f"GET {PC}/cluster/nope", 200, []),
    # rules, settings, compaction, lookups
    Row(C, f"GET {PC}/rules", 200, {"_default": Each(RULE, 1)}),
    Row(C, f"GET {PC}/rules/{{ds}}", 200, []),
    Row(C, f"GET {PC}/rules/{{ds}}?full", 200, Each(RULE, 1)),
    Row(C, f"GET {PC}/rules/history?count=2", 200, Each(dict)),
    Row(C, f"GET {PC}/rules/{{ds}}/history", 200, []),
    Row(C, f"GET {PC}/config", 200, {"millisToWaitBeforeDeleting": int, "maxSegmentsToMove": int, "replicantLifetime": int, "replicationThrottleLimit": int, "balancerComputeThreads": int,
        "killDataSourceWhitelist": Each(str), "killPendingSegmentsSkipList": Each(str), "maxSegmentsInNodeLoadingQueue": int, "decommissioningNodes": Each(str), "pauseCoordination": bool,
        "replicateAfterLoadTimeout": bool, "useRoundRobinSegmentAssignment": bool, "smartSegmentLoading": bool, "debugDimensions": ANY}),
    Row(C, f"GET {PC}/config/history?count=1", 200, Each(dict)),
    Row(C, f"GET {PC}/config/compaction", 200, {"compactionConfigs": [], "compactionTaskSlotRatio": NUMBER, "maxCompactionTaskSlots": int, "compactionPolicy": {"type": "newestSegmentFirst"},
        "useSupervisors": False, "engine": "native"}),
    Row(C, f"GET {PC}/config/compaction/{{ds}}", 404, DRUID_ERROR),
    Row(C, f"GET {PC}/config/compaction/{{ds}}/history", 200, []),
    Row(C, f"GET {PC}/compaction/status", 200, {"latestStatus": []}),
    Row(C, f"GET {PC}/compaction/status?dataSource=nope", 404, DRUID_ERROR),
    Row(C, f"GET {PC}/compaction/progress?dataSource=nope", 404, DRUID_ERROR),
    Row(C, f"GET {PC}/no/such/path", 404, ctype=None),
    Row(C, f"POST {PC}/loadstatus", 405, ctype=None),
    Row(C, f"PUT {PC}/datasources", 405, ctype=None),
]

# Druid keeps its lookups' state for ever once a lookup was configured, and then answers otherwise.
LOOKUPS = [
    Row(C, f"GET {PC}/lookups/config", 404, druid=((404, 200), JSON, ANY)),
    Row(C, f"GET {PC}/lookups/config?discover=true", 200, Each(str)),
    Row(C, f"GET {PC}/lookups/config/nope", 404, ERROR),
    Row(C, f"GET {PC}/lookups/config/nope/x", 404, ERROR),
]

OVERLORD = [
    Row(O, f"GET {PO}/leader", 200, Text(r"https?://[^ ]+:\d+")),
    Row(O, f"GET {PO}/isLeader", 200, {"leader": True}),
    Row(O, f"GET {PO}/tasks", 200, Each(ANY_TASK, 1)),
    Row(O, f"GET {PO}/tasks?datasource={{ds}}", 200, [TASK]),
    Row(O, f"GET {PO}/tasks?state=complete&datasource={{ds}}&max=1", 200, [TASK]),
    Row(O, f"GET {PO}/tasks?state=running&datasource={{ds}}", 200, []),
    Row(O, f"GET {PO}/tasks?type=nope", 200, []),
    Row(O, f"GET {PO}/tasks?datasource=nope_{{ds}}", 200, []),
    Row(O, f"GET {PO}/tasks?state=bogus", 400, Text(r"Invalid task state\[bogus\]. Must be one of \[pending, waiting, running, complete\]."), ctype=PLAIN),
    Row(O, f"GET {PO}/completeTasks?n=1", 200, Each(ANY_TASK, 1)),
    Row(O, f"GET {PO}/runningTasks", 200, Each(ANY_TASK)),
    Row(O, f"GET {PO}/waitingTasks", 200, Each(ANY_TASK)),
    Row(O, f"GET {PO}/pendingTasks", 200, Each(ANY_TASK)),
    Row(O, f"GET {PO}/task/{{task}}", 200, {"task": "{task}", "payload": {"type": "index_parallel", "spec": {"dataSchema": {"dataSource": "{ds}"}, "ioConfig": dict}}}),
    Row(O, f"GET {PO}/task/{{task}}/status", 200, {"task": "{task}", "status": TASK}),
    Row(O, f"GET {PO}/task/{{task}}/reports", 200, {
        "ingestionStatsAndErrors": {"taskId": "{task}", "type": "ingestionStatsAndErrors", "payload": {"ingestionState": "COMPLETED", "unparseableEvents": dict, "rowStats": {
            "determinePartitions": ROW_STATS, "buildSegments": {**ROW_STATS, "processed": 72}}, "errorMsg": None, "segmentAvailabilityConfirmed": bool, "segmentAvailabilityWaitTimeMs": int,
            "segmentsPublished": 3}},
        "taskContext": {"taskId": "{task}", "type": "taskContext", "payload": dict}}),
    Row(O, f"GET {PO}/task/{{task}}/log", 404, Text("No log was found for this task.*"), ctype=PLAIN, druid=((200, 404), PLAIN, ANY)),
    Row(O, f"GET {PO}/task/{{task}}/segments", 404, ERROR),
    Row(O, f"POST {PO}/task/{{task}}/shutdown", 200, {"task": "{task}"}),
    *[Row(O, f"GET {PO}/task/nope{tail}", 404, LOST, ctype=PLAIN) for tail in ("", "/status", "/reports", "/log", "/segments")],
    Row(O, f"POST {PO}/task/nope/shutdown", 404, LOST, ctype=PLAIN),
    Row(O, f"POST {PO}/taskStatus", 200, {"{task}": {"id": "{task}", "status": "SUCCESS", "duration": int, "errorMsg": None, "location": PLACE}}, body=["nope", "{task}"]),
    Row(O, f"POST {PO}/taskStatus", 400, Text("No Task IDs provided."), body=[]),
    Row(O, f"POST {PO}/taskStatus", 400, ERROR, body={"a": 1}),
    Row(O, f"POST {PO}/task", 400, ERROR, body={}),
    Row(O, f"POST {PO}/task", 400, ERROR, body={"type": "nope"}),
    Row(O, f"POST {PO}/task", 400, ERROR, body="nonsense", druid=500),
    Row(O, f"POST {PO}/lockedIntervals/v2", 200, {}, body=[{"datasource": "{ds}", "priority": 1}]),
    Row(O, f"GET {PO}/workers", 200, Each({"worker": {"scheme": "http", "host": ADDRESS, "ip": str, "capacity": int, "version": str, "category": str}, "currCapacityUsed": int,
        "currParallelIndexCapacityUsed": int, "availabilityGroups": Each(str), "runningTasks": Each(str), "lastCompletedTaskTime": TIME}, 1)),
    Row(O, f"GET {PO}/totalWorkerCapacity", 200, {"currentClusterCapacity": int, "maximumCapacityWithAutoScale": int, "usedClusterCapacity": int}),
    Row(O, f"GET {PO}/worker", 200, EMPTY, druid=(200, JSON, ANY)),
    Row(O, f"GET {PO}/worker/history", 200, Each(dict)),
    Row(O, f"GET {PO}/scaling", 200, EMPTY, druid=(200, JSON, ANY)),
    Row(W, "GET /druid/worker/v1/enabled", 200, Map(True, least=1)),
    Row(W, "GET /druid/worker/v1/tasks", 200, Each(str)),
    # supervisors
    Row(O, f"GET {PO}/supervisor", 200, Each(str)),
    Row(O, f"GET {PO}/supervisor?full", 200, Each({"id": str, "state": str, "detailedState": str, "healthy": bool, "suspended": bool, "spec": dict})),
    Row(O, f"GET {PO}/supervisor?state=true", 200, Each({"id": str, "state": str, "detailedState": str, "healthy": bool, "suspended": bool})),
    Row(O, f"GET {PO}/supervisor/history", 200, Map(Each({"spec": dict, "version": TIME}))),
    *[Row(O, f"GET {PO}/supervisor/nope{tail}", 404, NO_SUPERVISOR, ctype=PLAIN) for tail in ("", "/status", "/health", "/stats", "/parseErrors")],
    Row(O, f"GET {PO}/supervisor/nope/history", 404, {"error": "No history for [nope]."}),
    *[Row(O, f"POST {PO}/supervisor/nope/{verb}", 404, NO_SUPERVISOR, ctype=PLAIN) for verb in ("suspend", "resume", "reset", "terminate", "shutdown")],
    Row(O, f"POST {PO}/supervisor/nope/resetOffsets", 404, NO_SUPERVISOR, ctype=PLAIN,
        body={"type": "kafka", "partitions": {"type": "end", "stream": "t", "partitionOffsetMap": {"0": 1}}}),
    Row(O, f"POST {PO}/supervisor/nope/taskGroups/handoff", 404, NO_SUPERVISOR, ctype=PLAIN, body={"taskGroupIds": [1]}),
    Row(O, f"POST {PO}/supervisor", 400, ERROR, body={}),
    Row(O, f"POST {PO}/supervisor", 400, ERROR, body={"type": "nope"}),
    Row(O, f"POST {PO}/supervisor", 400, ERROR, body="nonsense", druid=500),
    Row(O, f"GET {PO}/no/such/path", 404, ctype=None),
]

BROKER = [
    Row(B, "GET /druid/v2/datasources", 200, Each(str, 1)),
    Row(B, "GET /druid/v2/datasources/", 200, Each(str, 1)),
    Row(B, "GET /druid/v2/datasources/{ds}", 200, {"dimensions": [], "metrics": []}),
    Row(B, f"GET /druid/v2/datasources/{{ds}}?{IN}", 200, {"dimensions": [str, str], "metrics": [str, str]}),
    Row(B, f"GET /druid/v2/datasources/{{ds}}?{IN}&full", 200, Map(COLUMNS, least=1)),
    Row(B, "GET /druid/v2/datasources/{ds}?full", 200, {}),
    Row(B, "GET /druid/v2/datasources/{ds}?interval=bogus", 400, ERROR, druid=BAD_INTERVAL),
    Row(B, f"GET /druid/v2/datasources/nope?{IN}", 200, {"dimensions": [], "metrics": []}),
    Row(B, f"GET /druid/v2/datasources/nope?{IN}&full", 200, {}),
    Row(B, f"GET /druid/v2/datasources/{{ds}}/dimensions?{IN}", 200, Either(["country", "device"], ["device", "country"])),
    Row(B, f"GET /druid/v2/datasources/{{ds}}/metrics?{IN}", 200, Either(["clicks", "events"], ["events", "clicks"])),
    Row(B, "GET /druid/v2/datasources/{ds}/dimensions", 200, []),
    Row(B, "GET /druid/v2/datasources/{ds}/candidates?intervals=2024-03-08/2024-03-09", 200, [CANDIDATE]),
    Row(B, "GET /druid/v2/datasources/{ds}/candidates?intervals=2024-03-08/2024-03-09,2024-03-10/2024-03-11&numCandidates=1", 200, [CANDIDATE, CANDIDATE]),
    Row(B, "GET /druid/v2/datasources/{ds}/candidates?intervals=bogus", 400, ERROR, druid=BAD_INTERVAL),
    Row(B, "GET /druid/v2/datasources/{ds}/candidates", 400, ERROR, druid=500),
    Row(B, "GET /druid/v2/datasources/nope/candidates?intervals=2024-03-08/2024-03-09", 200, []),
    Row(B, "POST /druid/v2/candidates", 200, [CANDIDATE, CANDIDATE],
        body={"queryType": "timeseries", "dataSource": "{ds}", "intervals": "2024-03-08/2024-03-10", "granularity": "all", "aggregations": []}),
    Row(B, "POST /druid/v2/candidates/?numCandidates=1", 200, [],
        body={"queryType": "timeseries", "dataSource": "nope", "intervals": "2024-03-08/2024-03-10", "granularity": "all", "aggregations": []}),
    Row(B, "POST /druid/v2/candidates", 400, ERROR, body="nonsense", druid=500),
    Row(B, "GET /druid/v2", 405, ctype=None),
    Row(B, "DELETE /druid/v2/nope", 202, ctype=None),
    Row(B, "GET /druid/broker/v1/loadstatus", 200, {"inventoryInitialized": True}),
    Row(B, "GET /druid/broker/v1/readiness", 200, ctype=None),
    Row(H, "GET /druid/historical/v1/loadstatus", 200, {"cacheInitialized": True}),
    Row(H, "GET /druid/historical/v1/readiness", 200, ctype=None),
]

READS = [*common(), *COORDINATOR, *LOOKUPS, *OVERLORD, *BROKER]

# What only Henge refuses or only it takes, with what Druid does there left untold: these would change a Druid that others use.
OURS = [
    Row(C, f"POST {PC}/config", 400, ERROR, body={"maxSegmentsToMove": 7}),
    Row(C, f"POST {PC}/config/compaction", 400, ERROR, body={"dataSource": "{ds}"}),
    Row(C, f"POST {PC}/config/compaction/taskslots?ratio=0.2", 400, ERROR, body={}),
    Row(C, f"POST {PC}/compaction/compact", 400, ERROR, body={}),
    Row(O, f"POST {PO}/worker", 400, ERROR, body={"type": "default"}),
]

CHANGED, UNCHANGED = {"numChangedSegments": int, "segmentStateChanged": True}, {"numChangedSegments": 0, "segmentStateChanged": False}
MARK = f"POST {PC}/datasources/{{ds}}/mark"
# One after the other. On Derby, Druid 33 fails with 500 where segments are to be used again or one is to be deleted; what it documents is what is wanted here.
BROKEN = (200, 500)
WRITES = [
    Row(C, MARK + "Unused", 400, REFUSAL, body={}),
    Row(C, MARK + "Unused", 400, REFUSAL, body={"segmentIds": []}),
    Row(C, MARK + "Unused", 400, REFUSAL, body={"interval": "2024-03-08/2024-03-09", "segmentIds": ["{seg}"]}),
    Row(C, MARK + "Used", 400, REFUSAL, body={"segmentIds": ["{seg}"], "versions": ["x"]}, druid=((400,), JSON, ANY)),
    Row(C, MARK + "Unused", 400, ERROR, body="nonsense", druid=500),
    Row(C, MARK + "Unused", 400, ERROR, body={"interval": "bogus"}),
    Row(C, MARK + "Unused", 200, UNCHANGED, body={"segmentIds": ["nope"]}),
    Row(C, MARK + "Unused", 200, UNCHANGED, body={"interval": "1999-03-08/1999-03-09"}),
    Row(C, MARK + "Unused", 200, UNCHANGED, body={"interval": "2024-03-08/2024-03-09", "versions": ["x"]}),
    Row(C, MARK + "Used", 400, ERROR, body={"segmentIds": ["nope"]}, druid=500),
    Row(C, f"DELETE {PC}/datasources/{{ds}}/segments/nope", 400, Text(r"Could not parse Segment ID\[nope\] for DataSource\[{ds}\]"), ctype=PLAIN),
    Row(C, f"DELETE {PC}/datasources/nope", 200, UNCHANGED),
    Row(C, MARK + "Unused", 200, {**CHANGED, "numChangedSegments": 1}, body={"segmentIds": ["{seg}"]}),
    Row(C, MARK + "Unused", 200, UNCHANGED, body={"segmentIds": ["{seg}"]}, druid=(200, JSON, {"numChangedSegments": int})),  # it counts what was unused already
    Row(C, MARK + "Used", 200, {**CHANGED, "numChangedSegments": 1}, body={"segmentIds": ["{seg}"]}, druid=(BROKEN, None, ANY)),
    Row(C, MARK + "Unused", 200, CHANGED, body={"interval": "2024-03-08/2024-03-10"}),
    Row(C, MARK + "Used", 200, {**CHANGED, "numChangedSegments": 2}, body={"interval": "2024-03-08/2024-03-10"}, druid=(BROKEN, None, ANY)),
    Row(C, f"DELETE {PC}/datasources/{{ds}}/segments/{{last}}", 200, {"segmentStateChanged": True}, druid=(BROKEN, None, ANY)),
    Row(C, f"POST {PC}/datasources/{{ds}}/segments/{{last}}", 200, {"segmentStateChanged": True}, druid=(BROKEN, None, ANY)),
    Row(C, f"DELETE {PC}/datasources/{{ds}}", 200, {**CHANGED, "numChangedSegments": 3}, druid=(200, JSON, {"numChangedSegments": int})),
    Row(C, f"POST {PC}/datasources/{{ds}}", 200, {**CHANGED, "numChangedSegments": 3}, druid=(BROKEN, None, ANY)),
    Row(C, f"DELETE {PC}/datasources/{{ds}}", 200, {"numChangedSegments": int}),
    Row(C, f"GET {PC}/metadata/datasources/{{ds}}", 404, druid=((404, 200), None, ANY)),  # until it polls
    Row(C, f"GET {PC}/metadata/datasources/{{ds}}/unusedSegments?limit=1&sortOrder=DESC", 200, [{"dataSegment": MINE, "createdDate": TIME, "used": False}], druid=(200, JSON, list)),
    Row(C, f"DELETE {PC}/datasources/{{ds}}/intervals/bogus", 400, ERROR, druid=500),
    Row(C, f"DELETE {PC}/datasources/{{ds}}/intervals/1999-01-01_1999-01-02", 200),
    Row(C, f"DELETE {PC}/datasources/{{ds}}/intervals/2024-03-08_2024-03-09", 200),
    Row(C, f"DELETE {PC}/datasources/{{ds}}?kill=true&interval=2024-03-09_2024-03-11", 200),
]
