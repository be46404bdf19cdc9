#!/bin/bash
# Runs spoolrpc with a full disk behind its standard output.
exec "$TEST_SRCDIR/$TEST_WORKSPACE/cli/spoolrpc" "$@" >/dev/full
