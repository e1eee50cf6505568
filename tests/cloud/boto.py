"""Evaluates one boto3 call, such as iam.get_user(UserName="ann"), and prints its outcome as JSON.

boto3 is AWS's own reading of its protocols: what it makes of an answer is what any SDK should.
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

SERVICES = ("cloudtrail", "dynamodb", "ec2", "guardduty", "iam", "s3", "securityhub", "sns", "ssm", "sts")
ONCE = Config(retries={"total_max_attempts": 1})

clients = {service: boto3.client(service, region_name="eu-west-1", config=ONCE) for service in SERVICES if service in sys.argv[1]}
try:
    outcome = {"result": eval(sys.argv[1], clients)}
except ClientError as error:
    outcome = {"error": error.response["Error"]["Code"]}
except BotoCoreError as error:
    outcome = {"error": type(error).__name__}
print(json.dumps(outcome, default=str))
