#!/usr/bin/env python3
"""A client for `gainsay run --db exec`: it treats refdb as if it were a foreign database. Copy it and put your own in its place.

One operation a line comes in as JSON, one answer a line goes out. The one decision that matters is made in `attempt`:
  ok    it happened          fail  it certainly did not happen          info  nobody knows (the default)
"""
import json, os, sys, urllib.error, urllib.request

NODES = dict(pair.split("=") for pair in os.environ["GAINSAY_NODES"].split(","))  # n1=10.0.0.1,n2=…
PORT, HOME = os.environ["GAINSAY_PORT"], os.environ["GAINSAY_NODE"]               # HOME: the node to prefer
HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))               # never through a proxy
leader = HOME                                                                     # a guess; refusals correct it


def ask(node, path, body=None, timeout=0.8):  # less than the second after which gainsay gives up
    """One HTTP request. A refusal has a body that says why, so it is an answer too."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with HTTP.open(urllib.request.Request(f"http://{NODES[node]}:{PORT}{path}", data), timeout=timeout) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as refusal:
        return json.load(refusal)


def attempt(node, ops):
    """Asks `node` to do `ops`. Only what certainly did not happen is a fail."""
    try:
        reply = ask(node, "/v1/txn", {"ops": ops})
    except ConnectionRefusedError as error:  # nobody was there to hear it
        return {"type": "fail", "node": node, "error": str(error)}
    except urllib.error.URLError as error:   # refused connections come wrapped; a time-out while connecting does too
        refused = isinstance(error.reason, ConnectionRefusedError)
        return {"type": "fail" if refused else "info", "node": node, "error": str(error)}
    except Exception as error:               # it may have arrived: nobody knows
        return {"type": "info", "node": node, "error": str(error)}
    refusal = reply.get("error")
    if refusal is None:
        return {"type": "ok", "node": reply["node"], "results": reply["results"]}
    return {"type": "fail" if refusal["definite"] else "info", "node": node,
            "error": f"{refusal['code']}: {refusal['message']}", "leader": refusal.get("leader")}


def operation(f, key, value):
    """One step of ours in the words of the database."""
    f = {"r": "read", "w": "write"}.get(f, f)  # as steps of a transaction are called
    op = {"op": f, "key": str(key)}
    if f == "cas":
        op["old"], op["value"] = value
    elif f not in ("read", "delete"):
        op["value"] = value
    return op


def execute(ops, node):
    """Reads go to `node`, writes to the leader. After a definite refusal a write may be sent again: it did not happen."""
    global leader
    reads = all(op["op"] == "read" for op in ops)
    for _ in range(3):
        answer = attempt(node if reads else leader, ops)
        if reads or answer["type"] != "fail" or not answer.get("leader"):
            break
        leader = answer["leader"]
    if reads and answer["type"] == "info":
        answer["type"] = "fail"            # a read that failed changed nothing
    elif not reads and "results" not in answer and not answer["error"].startswith("cas-mismatch"):
        leader = list(NODES)[(list(NODES).index(leader) + 1) % len(NODES)]  # perhaps it leads no more: try another next
    return answer


def answer(request):
    f, node = request["f"], request.get("node")
    if f == "health":
        return {"type": "ok" if ask(node, "/v1/health")["ready"] else "fail"}
    if f == "status":
        status = ask(node, "/v1/status", timeout=0.5)
        return {"type": "ok", "role": status["role"], "term": status["term"], "position": status["position"],
                "clock": status["clock_ns"]}
    steps = request["value"] if f == "txn" else [[f, *request["value"]]]
    answer = execute([operation(*step) for step in steps], node or HOME)  # the final reads name the node that must answer
    if answer["type"] == "ok":
        for step, result in zip(steps, answer.pop("results")):
            if step[0] in ("r", "read"):   # the result is "nil", {"value": 3}, {"list": [1, 2]}, …
                step[2] = None if result == "nil" else next(iter(result.values()))
        answer["value"] = steps if f == "txn" else steps[0][1:]
    return answer


for line in sys.stdin:
    try:
        reply = answer(json.loads(line))
    except Exception as error:             # our own mistake, or a node that is down
        reply = {"type": "info", "error": f"{type(error).__name__}: {error}"}
    print(json.dumps(reply), flush=True)
