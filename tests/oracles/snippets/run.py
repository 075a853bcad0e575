"""Tries the snippets of docs/guides/verify.md on what the real binary delivered: `run.py GUIDE CASES FOLDER LANGUAGE…`.

Called by scripts/check/52-verify-snippets.sh. Each snippet must accept a delivery as it is, and refuse it with one bit of
the body or the signature flipped, without its header, under another secret and, where it has a timestamp, as a replay.
"""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
LANGUAGES = {"node": "mjs", "python3": "py", "php": "php", "ruby": "rb", "go": "go", "sh": "sh"}


def extract(guide, folder):
    """Writes each block that names a file; every language has one for every scheme."""
    blocks = re.findall(r"^```\w+ ([\w.-]+)\n(.*?)^```$", guide.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names = [name for name, _ in blocks]
    expected = {
        f"verify{'_' if ending == 'go' else '-'}{scheme}.{ending}"
        for ending in LANGUAGES.values()
        for scheme in ("standard", "body", "header")
    }
    assert sorted(names) == sorted(expected), f"the guide has {sorted(names)}"
    for name, text in blocks:
        place = folder / "webhooks" / name if name.endswith(".go") else folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def replayed(case, body, seconds):
    """The case as its sender would have signed it so long ago, or from now."""
    prefix, headers = case["prefix"], dict(case["headers"])
    timestamp = str(int(time.time()) + seconds)
    key = base64.b64decode(case["secret"].removeprefix("whsec_"))
    signed = f"{headers[prefix + '-id']}.{timestamp}.".encode() + body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {**headers, f"{prefix}-timestamp": timestamp, f"{prefix}-signature": f"v1,{digest}"}


def variants(case):
    """Each as (what, expected, changed case), with the body as base64."""
    body, header, headers = case["body"].encode(), case["header"], case["headers"]

    def one(what, expected, *, body=body, **changes):
        return what, expected, {**case, **changes, "body": base64.b64encode(body).decode()}

    def with_header(value):
        return {**headers, header: value}

    yield one("as it is", True)
    for wrong in ("whsec_d3Jvbmc=", "") if case["scheme"] == "standard" else ("wrong", case["secret"] + " ", ""):
        yield one(f"under the secret `{wrong}`", False, secret=wrong)
    yield one("without its header", False, headers={name: value for name, value in headers.items() if name != header})
    yield one("with an empty header", False, headers=with_header(""))
    value = headers[header].encode()
    for at in range(len(value)):
        changed = flipped(value, at)
        if changed[at] > 32 and changed[at] < 127:
            yield one(f"with character {at} of its header flipped", False, headers=with_header(changed.decode()))
    yield one("with its header cut short", False, headers=with_header(value[:-1].decode()))
    if case["scheme"] == "header":
        return
    for at in range(len(body)):
        yield one(f"with byte {at} of its body flipped", False, body=flipped(body, at))
    yield one("with a longer body", False, body=body + b"\n")
    if case["scheme"] == "standard":
        prefix = case["prefix"]
        for name in ("id", "timestamp"):
            text = headers[f"{prefix}-{name}"].encode()
            for changed in (flipped(text, len(text) - 1).decode(), "", "x"):
                yield one(f"with another {name}", False, headers={**headers, f"{prefix}-{name}": changed})
        rotated = f"v1,AAAA v1a,x {value.decode()}"
        yield one("with several signatures", True, headers=with_header(rotated))
        yield one("signed a minute ago", True, headers=replayed(case, body, -60))
        for seconds in (-400, 400):
            yield one(f"signed {seconds} s from now", False, headers=replayed(case, body, seconds))


def ask_all(command, cases, folder):
    """An answer for each case, from one process."""
    file = folder / "cases.json"
    file.write_text(json.dumps(cases), encoding="utf-8")
    ran = subprocess.run([*command, str(file)], check=False, capture_output=True, text=True, cwd=folder)
    assert ran.returncode == 0, ran.stderr
    return [line == "true" for line in ran.stdout.splitlines()]


def ask_shell(cases, folder):
    """A process for each case, so only some of the flipped bytes are tried."""
    answers = []
    for case in cases:
        headers, prefix = case["headers"], case["prefix"]
        file = folder / "body"
        file.write_bytes(base64.b64decode(case["body"]))
        arguments = {
            "standard": lambda: [
                case["secret"],
                *(headers.get(f"{prefix}-{name}", "") for name in ("id", "timestamp", "signature")),
                str(file),
            ],
            "body": lambda: [case["secret"], headers.get(case["header"], ""), str(file), prefix],
            "header": lambda: [case["secret"], headers.get(case["header"], "")],
        }[case["scheme"]]()
        command = ["sh", str(HERE / "drive.sh"), str(folder), case["scheme"], *arguments]
        ran = subprocess.run(command, check=False, capture_output=True, text=True)
        answers.append(ran.returncode == 0)
    return answers


def ask(language, cases, folder):
    if language == "sh":
        return ask_shell(cases, folder)
    if language == "go":
        (folder / "go.mod").write_text("module snippets\n\ngo 1.19\n", encoding="utf-8")
        shutil.copy(HERE / "drive.go", folder / "main.go")
        os.environ.update(GOFLAGS="-mod=mod", GOPROXY="off", GOTOOLCHAIN="local")
        return ask_all(["go", "run", "."], cases, folder)
    return ask_all([language, str(HERE / f"drive.{LANGUAGES[language]}"), str(folder)], cases, folder)


def main():
    guide, delivered, folder, *languages = sys.argv[1:]
    folder = pathlib.Path(folder).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    extract(pathlib.Path(guide), folder)
    deliveries = json.loads(pathlib.Path(delivered).read_text(encoding="utf-8"))
    assert {case["scheme"] for case in deliveries} == {"standard", "body", "header"}
    for language in languages:
        tried = [(case["dialect"], *variant) for case in deliveries for variant in variants(case)]
        if language == "sh":
            tried = [one for number, one in enumerate(tried) if "flipped" not in one[1] or number % 16 == 0]
        answers = ask(language, [case for *_, case in tried], folder)
        assert len(answers) == len(tried), f"{language} gave {len(answers)} answers to {len(tried)} cases"
        for (dialect, what, expected, case), accepted in zip(tried, answers, strict=True):
            said = "accepts" if accepted else "refuses"
            assert accepted == expected, f"{language} {said} a delivery of `{dialect}` {what}: {json.dumps(case)}"
        accepted = sum(answers)
        print(f"{language}: {accepted} deliveries accepted, {len(answers) - accepted} changed ones refused")


main()
