"""Serves moto on a free port, and prints that port as its first line when it is ready."""

import logging
from functools import cache
from threading import RLock

from moto.core import responses
from moto.dynamodb.responses import DynamoHandler
from moto.ec2.models import security_groups
from moto.iam import models as iam
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server


create_user = iam.User.__init__


def create_user_with_aws_id(self, *arguments, **named):
    create_user(self, *arguments, **named)
    self.id = "AIDA" + self.id[:17].upper()


# A user's unique id in AWS's form; moto's are random lower-case letters.
iam.User.__init__ = create_user_with_aws_id

# A key goes with its user when that one is renamed; moto's keys keep the name that they were made with.
update_user = iam.IAMBackend.update_user


def update_user_and_keys(self, user_name, new_path=None, new_user_name=None):
    update_user(self, user_name, new_path, new_user_name)
    if new_user_name:
        for key in self.users[new_user_name].access_keys:
            key.user_name = new_user_name


iam.IAMBackend.update_user = update_user_and_keys

# 60 rules of a group is what AWS allows at first; a team may ask for up to 1,000.
count_rules = security_groups.SecurityGroupBackend._verify_group_will_respect_rule_count_limit


def count_up_to_a_thousand(self, group, current, ranges, *arguments, **named):
    if current + len(ranges) > 1000:
        count_rules(self, group, current, ranges, *arguments, **named)


security_groups.SecurityGroupBackend._verify_group_will_respect_rule_count_limit = count_up_to_a_thousand

# moto undoes a failed transaction by putting the table back as it was, and with it what others wrote meanwhile.
one_at_a_time = RLock()
call_action = DynamoHandler.call_action


def call_alone(self):
    with one_at_a_time:
        return call_action(self)


DynamoHandler.call_action = call_alone

# moto lists its own folders and the methods of a service for each request, which takes a third of its time.
DomainDispatcherApplication.get_backend_for_host = cache(DomainDispatcherApplication.get_backend_for_host)
responses.method_names_from_class = cache(responses.method_names_from_class)

# One line a request would drown what the tests print; tracebacks of moto itself still appear.
logging.getLogger("werkzeug").setLevel(logging.ERROR)

server = make_server(
    "127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True, request_handler=MotoRequestHandler
)
print(server.port, flush=True)
server.serve_forever()
