"""`infra/deployer-policy.json` is what the program needs, and no more than its own names."""

import json
import re

from infra.preflight import POLICY
from tests.infra import deployer_policy
from tests.infra.recorder import deployed
from tests.infra.service_models import REQUESTS

STATEMENTS = json.loads(POLICY.read_text(encoding="utf-8"))["Statement"]
# Listing, reading subscriptions and asking IAM cannot be limited to a name, nor can the creation of a crawler.
UNLIMITED = {
    "cloudwatch:DescribeAlarms",
    "glue:CreateCrawler",
    "iam:SimulatePrincipalPolicy",
    "lakeformation:GetDataLakeSettings",
    "lambda:GetAccountSettings",
    "logs:DescribeLogGroups",
    "sns:GetSubscriptionAttributes",
    "sns:Unsubscribe",
    "ssm:DescribeParameters",
}


def test_it_is_up_to_date():
    assert POLICY.read_text(encoding="utf-8") == deployer_policy.text(), "run `make deployer-policy`"


def test_it_fits_into_a_role():
    assert len(re.sub(r"\s", "", POLICY.read_text(encoding="utf-8"))) <= deployer_policy.LIMIT


def test_it_covers_only_names_of_the_project_where_aws_can_limit_an_action():
    unlimited = {action for each in STATEMENTS if "*" in each["Resource"] for action in each["Action"]}
    named = {arn for each in STATEMENTS for arn in each["Resource"] if arn != "*" and not arn.endswith(":catalog")}

    assert unlimited == UNLIMITED
    assert [arn for arn in named if not re.search(r"[:/]tickerlake[-_]\*", arn)] == []
    assert not [action for each in STATEMENTS for action in each["Action"] if "*" in action]


def test_it_passes_roles_only_to_the_services_that_assume_them():
    (passing,) = [each for each in STATEMENTS if "iam:PassRole" in each["Action"]]

    assert passing["Condition"] == {
        "StringEquals": {
            "iam:PassedToService": [
                f"{service}.amazonaws.com" for service in ("firehose", "glue", "lambda", "scheduler")
            ]
        }
    }


def test_it_creates_and_deletes_every_kind_of_resource():
    services = {REQUESTS[item.type].service for item in deployed("prod").registrations if item.type in REQUESTS}
    granted = {action for each in STATEMENTS for action in each["Action"]}

    assert services <= {action.partition(":")[0] for action in granted}
    assert {"lambda:CreateFunction", "lambda:DeleteFunction", "glue:CreateTable", "glue:DeleteTable"} <= granted
    assert {"s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteObjectVersion", "iam:DeleteRole"} <= granted
