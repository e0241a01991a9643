"""Tells of each CodeBuild project that the emulator's CloudFormation makes, changes or deletes, and takes no for an answer.

In: an address. Out: requests to it, `PUT /NAME` with the properties and `DELETE /NAME`; the words of a refusal become the
reason in the stack's event, as CodeBuild's own would.
"""

import json
import urllib.error
import urllib.request

import provisioning
from ministack.services.cloudformation import provisioners

KIND = "AWS::CodeBuild::Project"
# Straight there, whatever proxy the environment names.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SECONDS_MAX = 30


def tell(address):
    handlers = provisioners._RESOURCE_HANDLERS[KIND]
    made, changed, deleted = (handlers[verb] for verb in ("create", "update", "delete"))

    def send(method, name, body=None):
        data = None if body is None else json.dumps(body).encode()
        try:
            request = urllib.request.Request(f"{address}/{name}", data, method=method)
            OPENER.open(request, timeout=SECONDS_MAX).close()
        except urllib.error.HTTPError as refusal:
            raise ValueError(refusal.read().decode()) from None

    def create(logical_id, properties, stack):
        # Only the emulator knows the name.
        name, attributes = made(logical_id, properties, stack)
        try:
            send("PUT", name, properties)
        except ValueError:
            deleted(name, properties)
            raise
        return name, attributes

    def update(name, before, properties, stack):
        send("PUT", name, properties)
        return changed(name, before, properties, stack)

    def delete(name, properties):
        deleted(name, properties)
        send("DELETE", name)

    handlers.update(create=create, update=update, delete=delete)
    provisioning.wait_for(KIND)
