"""Evaluates boto3 calls, such as iam.get_user(UserName="ann"), one an argument, and prints their outcomes as JSON.

boto3 is AWS's own reading of its protocols: what it makes of an answer is what any SDK should.
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

SERVICES = ("cloudtrail", "dynamodb", "ec2", "guardduty", "iam", "s3", "securityhub", "sns", "ssm", "sts")
ONCE = Config(retries={"total_max_attempts": 1})


def outcome(call):
    try:
        return {"result": eval(call, clients)}
    except ClientError as error:
        return {"error": error.response["Error"]["Code"]}
    except (BotoCoreError, ResponseParserError) as error:
        return {"error": type(error).__name__}


needed = [service for service in SERVICES if any(f"{service}." in call for call in sys.argv[1:])]
clients = {service: boto3.client(service, region_name="eu-west-1", config=ONCE) for service in needed}
print(json.dumps([outcome(call) for call in sys.argv[1:]], default=str))
