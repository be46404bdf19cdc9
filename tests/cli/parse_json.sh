#!/bin/bash
# Reads a document of `spoolrpc status --json` with a parser that knows nothing of protobuf, and prints
# how many servers there are, and of the first its state and whether its pid is a number. Exit status
# 77: there is no such parser here.
command -v python3 >/dev/null || exit 77
exec python3 -c '
import json, sys
document = json.load(open(sys.argv[1]))
server = document["servers"][0]
print(len(document["servers"]), server["state"], server["pid"] > 0)
' "$1"
