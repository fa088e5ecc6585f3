#!/usr/bin/env bash
# go-files.sh — prints the Go files of the checkout that people write, one a line.
set -euo pipefail
find . -name '*.go' -not -path './.cache/*' -not -path './.meridian/*' -not -path '*/testdata/*'
