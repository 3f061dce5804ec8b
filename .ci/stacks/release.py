"""Tests the release hook of template.yaml: its report to CodeDeploy if the new version passes its self-test, fails it, or crashes.

A server on this machine stands in for Lambda and CodeDeploy.
"""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse

TEMPLATE = Path(__file__).resolve().parent.parent.parent / "template.yaml"
# Lambda's answer, its function error, and the status that the hook must then report to CodeDeploy.
CASES = [
    ({"statusCode": 200, "body": "{}"}, None, "Succeeded"),
    ({"statusCode": 503, "body": "{}"}, None, "Failed"),
    ({"errorType": "Runtime.ExitError"}, "Unhandled", "Failed"),
    (None, None, "Failed"),
]


class Aws(BaseHTTPRequestHandler):
    answer, error, told = None, None, []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])) or "{}")
        headers, answer = {}, {}
        if self.path.endswith("/invocations"):
            assert "/functions/ingest%3A7/" in self.path, self.path
            assert body["requestContext"]["http"] == {"method": "GET", "path": "/self-test", "sourceIp": "127.0.0.1"}
            answer, headers = Aws.answer, {"x-amz-function-error": Aws.error} if Aws.error else {}
        else:
            Aws.told.append(body)
        content = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(500 if answer is None else 200)
        for name, value in {**headers, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def main():
    server = HTTPServer(("127.0.0.1", 0), Aws)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ.update(
        NEW_VERSION="ingest:7",
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.server_port}",
        AWS_ACCESS_KEY_ID="none",
        AWS_SECRET_ACCESS_KEY="none",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_MAX_ATTEMPTS="1",
    )
    hook = {}
    exec(yaml_parse(TEMPLATE.read_text())["Resources"]["ReleaseCheck"]["Properties"]["InlineCode"], hook)
    for Aws.answer, Aws.error, expected in CASES:
        Aws.told.clear()
        hook["handler"]({"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "h-1"}, None)
        wanted = {"deploymentId": "d-1", "lifecycleEventHookExecutionId": "h-1", "status": expected}
        assert Aws.told == [wanted], (Aws.told, wanted)
    server.shutdown()
    print("the hook of a release tells fit versions from unfit and dead ones")


if __name__ == "__main__":
    main()
