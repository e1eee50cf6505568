"""A Lambda handler that does as the event says, to try the emulator with."""

import os
import time

import boto3


def handler(event, _context):
    print("the function prints a line")
    if "sleep" in event:
        time.sleep(event["sleep"])
    if "fail" in event:
        raise ValueError(event["fail"])
    return {"caller": boto3.client("sts").get_caller_identity()["Arn"], "environment": dict(os.environ)}
