"""What one would write without Quell: the same two writes and one message, with nothing looked at and nothing checked."""

import json
import os

import boto3

iam = boto3.client("iam")
sns = boto3.client("sns")

DENY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}


def handler(event, _context):
    finding = event["detail"]
    details = finding["resource"]["accessKeyDetails"]
    user, key = details["userName"], details["accessKeyId"]
    iam.update_access_key(UserName=user, AccessKeyId=key, Status="Inactive")
    iam.put_user_policy(UserName=user, PolicyName="Quarantine", PolicyDocument=json.dumps(DENY))
    told = {"finding": finding["type"], "contained": f"access key {key} of {user}"}
    sns.publish(TopicArn=os.environ["TOPIC_ARN"], Subject=f"Contained: {key}", Message=json.dumps(told))
    return told
