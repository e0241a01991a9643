"""Describes a resource of a stack as CloudFormation does while the stack changes; the emulator knows it only when it is done.

In: nothing. Out: `DescribeStackResource` with the status, the time and the physical id of the resource's latest event.
"""

from ministack.services import cloudformation
from ministack.services.cloudformation import handlers

ACTION = "DescribeStackResource"
SHOWN = ("LogicalResourceId", "PhysicalResourceId", "ResourceType", "ResourceStatus", "ResourceStatusReason")


def describe_as_it_is():
    described = handlers._ACTION_HANDLERS[ACTION]

    def describe(parameters):
        stack = handlers._resolve_stack(handlers._p(parameters, "StackName"))
        name = handlers._p(parameters, "LogicalResourceId")
        event = latest(stack, name) if stack else None
        if event is None:
            return described(parameters)
        known = stack.get("_resources", {}).get(name, {})
        detail = {member: event[member] or known.get(member, "") for member in SHOWN}
        detail["LastUpdatedTimestamp"] = event["Timestamp"]
        detail["StackName"], detail["StackId"] = event["StackName"], event["StackId"]
        members = "".join(f"<{member}>{handlers._esc(text)}</{member}>" for member, text in detail.items() if text)
        result = f"<{ACTION}Result><StackResourceDetail>{members}</StackResourceDetail></{ACTION}Result>"
        return handlers._xml(200, f"{ACTION}Response", result)

    handlers._ACTION_HANDLERS[ACTION] = describe


def latest(stack, name):
    events = cloudformation._stack_events.get(stack["StackId"]) or []
    own = (each for each in reversed(events) if each["LogicalResourceId"] == name)
    # The stack has events under its own name.
    return next((each for each in own if each["PhysicalResourceId"] != stack["StackId"]), None)
