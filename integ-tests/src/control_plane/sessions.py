"""Gives each function a session that names it, so that IAM knows who calls, whatever a client says of itself; the emulator gives all the same keys.

In: nothing. Out: the session's token is `function/NAME`.
"""

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

KEYS = lambda_runtime.execution_credentials


def name():
    lambda_svc.execution_credentials = of


def of(config):
    return {**KEYS(config), "AWS_SESSION_TOKEN": f"function/{config['FunctionName']}"}
