"""Prints CloudFormation templates as one JSON array, with `!Sub x` as {"Fn::Sub": x}.

The tests read the templates through this, so that the project needs no YAML parser of its own in Rust.
"""

import json
import sys

from cfnlint.decode import cfn_yaml

json.dump([cfn_yaml.load(path) for path in sys.argv[1:]], sys.stdout, default=str)
