"""Asks IAM, which is not the emulator's, what a function's role may do, where Lambda itself acts with that role.

In: the address that answers. Out: why not, in IAM's words; nothing where it may.
"""

import urllib.error
import urllib.parse
import urllib.request

import sessions

# Straight there, whatever proxy the environment names.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SECONDS_MAX = 30
ADDRESS = ""


def ask_at(address):
    global ADDRESS
    ADDRESS = address


def signed(config, service):
    """Headers of a request with the role of a function."""
    session = sessions.of(config)
    return {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={session['AWS_ACCESS_KEY_ID']}/-/-/{service}/aws4_request",
        "X-Amz-Security-Token": session["AWS_SESSION_TOKEN"],
    }


def refusal(config, action, resource):
    question = urllib.parse.urlencode({"action": action, "resource": resource})
    request = urllib.request.Request(f"{ADDRESS}/?{question}", headers=signed(config, action.partition(":")[0]))
    try:
        OPENER.open(request, timeout=SECONDS_MAX).close()
    except urllib.error.HTTPError as refused:
        return refused.read().decode()
    return None
