"""Refuses to start a function whose `bootstrap` others may not read and run, as Lambda does; the emulator gives it the modes it lacks.

In: nothing. Out: each invocation of such a function fails, with the error that Lambda gives.
"""

import io
import zipfile

from ministack.services import lambda_svc

# Lambda runs it as a user that owns nothing.
OTHERS_READ_AND_RUN = 0o005


def refuse():
    run = lambda_svc._execute_function_provided_warm

    def run_if_startable(function, event, request_id):
        code = function.get("code_zip")
        if code and not startable(code):
            words = f"RequestId: {request_id} Error: fork/exec /var/task/bootstrap: permission denied"
            error = {"errorType": "Runtime.InvalidEntrypoint", "errorMessage": words}
            return {"body": error, "error": True, "log": f"{words}\nRuntime.InvalidEntrypoint"}
        return run(function, event, request_id)

    lambda_svc._execute_function_provided_warm = run_if_startable


def startable(code):
    with zipfile.ZipFile(io.BytesIO(code)) as archive:
        # One that is not there the emulator refuses itself.
        entry = archive.NameToInfo.get("bootstrap")
        return entry is None or (entry.external_attr >> 16) & OTHERS_READ_AND_RUN == OTHERS_READ_AND_RUN
