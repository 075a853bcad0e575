"""Asks the snippets for Python about each case: `drive.py FOLDER CASES`, an answer a line. Called by run.py."""

import base64
import json
import runpy
import sys

folder, file = sys.argv[1:]
verify_standard = runpy.run_path(f"{folder}/verify-standard.py")["verify_standard"]
verify_body = runpy.run_path(f"{folder}/verify-body.py")["verify_body"]
verify_header = runpy.run_path(f"{folder}/verify-header.py")["verify_header"]

with open(file, encoding="utf-8") as cases:
    for case in json.load(cases):
        secret, headers, body = case["secret"], case["headers"], base64.b64decode(case["body"])
        if case["scheme"] == "standard":
            accepted = verify_standard(secret, headers, body, case["prefix"])
        elif case["scheme"] == "body":
            accepted = verify_body(secret, headers.get(case["header"]), body, case["prefix"])
        else:
            accepted = verify_header(secret, headers.get(case["header"]))
        print(json.dumps(accepted))
