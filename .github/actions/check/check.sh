#!/usr/bin/env bash
# What the action does, and the same by hand, in the folder of a paper: every check of its report, and with BASE what
# has changed in meaning since that revision, as Markdown in FILE. Ends with what `build.py check` ends with.
#
#   .github/actions/check/check.sh [BASE [FILE]]
set -euo pipefail
base=${1:-} file=${2:-changes.md} python=${PYTHON:-python}
if [ -z "${PYTHON:-}" ] && [ -x .venv/bin/python ]; then python=.venv/bin/python; fi

ended=0
"$python" build.py check || ended=$?

if [ -n "$base" ]; then
  differs=0
  "$python" build.py diff "$base" --format markdown >"$file" || differs=$?
  # A verdict that has changed is news for the reviewer, not a fault: only a comparison that failed is one.
  case $differs in 0 | 3 | 6) ;; *) exit "$differs" ;; esac
  if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then cat "$file" >>"$GITHUB_STEP_SUMMARY"; fi
fi
exit "$ended"
