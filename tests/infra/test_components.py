"""What the components register: names, parents, options, whole policies, and how they refer to each other."""

import json

import pytest

import infra.lake
from functions.alerter.memory import ALERTS_PREFIX, LEASE
from infra.analytics import console_sql
from infra.catalog import crawl_schedule
from infra.policy.rules import POLICY_PROPERTIES
from tests.infra.recorder import ROOT, TODAY, deploy, deployed, stack_config
from tickerlake import exchange, record, watchlist
from tickerlake.lake import retention

ACCOUNT = "123456789012"
BUCKET = "tickerlake-prod-lake-bucket-0a1b2c3"
FUNCTION_ARN = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:tickerlake-prod-collector"
TOPIC_ARN = f"arn:aws:sns:us-east-1:{ACCOUNT}:tickerlake-prod-monitoring-alarms-0a1b2c3"
QUEUE_ARN = f"arn:aws:sqs:us-east-1:{ACCOUNT}:tickerlake-prod-collector-failures-0a1b2c3"
PARTS = ("lake", "catalog", "delivery", "analytics", "collector", "compactor", "forecaster", "alerter", "monitoring")


@pytest.fixture(scope="module")
def prod():
    return deployed("prod")


@pytest.fixture(scope="module")
def dev():
    return deployed("dev")


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """The stack prod with tickers of three exchanges."""
    file = tmp_path_factory.mktemp("several") / "tickerlake.toml"
    watchlist.add(file, ["VOD.L", "BTC-USD"])
    watchlist.add_alert(file, {"new_high": 1})
    return deploy({**stack_config("prod"), "tickerlake:watchlist": str(file)}, "prod")


@pytest.fixture(scope="module")
def outside():
    return deploy({**stack_config("dev"), "tickerlake:collect": "outside"})


def inputs(recording, name):
    return recording.one(name).inputs


# Names, parents and options


def test_each_part_is_a_component_of_the_stack_with_its_own_type(prod):
    parts = [item for item in prod.registrations if item.type.startswith("tickerlake:")]

    assert {item.type: (item.name, item.parent) for item in parts} == {
        "tickerlake:stack:Stack": ("tickerlake-prod", "tickerlake-prod"),
        **{f"tickerlake:{part}:{part.capitalize()}": (f"tickerlake-prod-{part}", "tickerlake-prod") for part in PARTS},
    }


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_resource_has_its_components_name_and_the_tagging_provider(stack):
    for item in deployed(stack).registrations:
        if item.type.startswith("aws:"):
            assert item.parent in {f"tickerlake-{stack}-{part}" for part in PARTS}
            assert item.name.startswith(f"{item.parent}-")
            assert item.provider == f"tickerlake-{stack}-aws"


def test_the_provider_tags_everything_and_refuses_other_accounts(prod):
    provider = inputs(prod, "aws")

    assert json.loads(provider["defaultTags"]) == {"tags": {"project": "tickerlake", "stack": "prod"}}
    assert json.loads(provider["allowedAccountIds"]) == [ACCOUNT]


def test_the_data_bucket_outlives_the_stack_with_all_its_settings(prod):
    kept = {item.name.removeprefix("tickerlake-prod-lake-") for item in prod.registrations if item.retain}

    assert [item.name for item in prod.registrations if item.protect] == [
        "tickerlake-prod-lake-bucket",
        "tickerlake-prod-guard",
    ]
    assert kept == {"bucket", "encryption", "lifecycle", "ownership", "policy", "public-access", "versioning"}
    assert inputs(prod, "lake-bucket")["forceDestroy"] is False


def test_the_guard_depends_on_every_other_resource_so_that_a_refused_destroy_deletes_none(prod):
    others = {item.name for item in prod.registrations if item.type.startswith("aws:")}

    assert others <= prod.one("guard").dependencies


def test_a_stack_that_keeps_its_data_can_be_destroyed():
    recording = deploy({**stack_config("prod"), "tickerlake:onDestroy": "keep"}, "prod")

    assert [item.name for item in recording.registrations if item.protect] == []
    assert recording.one("lake-bucket").retain


def test_destroying_a_stack_with_on_destroy_delete_deletes_everything(dev):
    assert [item.name for item in dev.registrations if item.protect or item.retain] == []
    assert all(item.inputs["forceDestroy"] for item in dev.all("Bucket"))


def test_a_service_gets_its_role_only_after_the_roles_policy(prod):
    for user, policy in {
        "catalog-crawler": "catalog-crawler-role-policy",
        "delivery-stream": "delivery-role-policy",
        "collector-function": "collector-role-policy",
        "collector-new-york-collect-1": "collector-scheduler-role-policy",
        "compactor-function": "compactor-role-policy",
        "compactor-compact": "compactor-scheduler-role-policy",
        "forecaster-function": "forecaster-role-policy",
        "forecaster-new-york-forecast": "forecaster-scheduler-role-policy",
        "alerter-function": "alerter-role-policy",
        "alerter-new-york-alert": "alerter-scheduler-role-policy",
        "lake-lifecycle": "lake-versioning",
        "lake-policy": "lake-public-access",
    }.items():
        assert f"tickerlake-prod-{policy}" in prod.one(user).dependencies


# Policies


def test_every_policy_is_the_one_in_policies_json(prod):
    granted = {
        item.name.removeprefix("tickerlake-prod-"): json.loads(item.inputs[POLICY_PROPERTIES[item.type]])
        for item in prod.registrations
        if item.type in POLICY_PROPERTIES
    }

    assert granted == json.loads((ROOT / "tests/infra/policies.json").read_text(encoding="utf-8"))


def test_each_policy_belongs_to_its_own_role(prod):
    for item in prod.all("RolePolicy"):
        assert item.inputs["role"] == f"{item.name.removesuffix('-policy')}-0a1b2c3"


# The lake


def test_both_buckets_are_encrypted_private_and_cleaned_up(prod):
    for kind in (
        "BucketServerSideEncryptionConfiguration",
        "BucketPublicAccessBlock",
        "BucketOwnershipControls",
        "BucketPolicy",
        "BucketLifecycleConfiguration",
    ):
        assert [item.inputs["bucket"] for item in prod.all(kind)] == [BUCKET, "tickerlake-prod-lake-results-0a1b2c3"]


def test_old_versions_and_incomplete_uploads_expire_and_records_of_the_past_as_locally_but_bars_do_not(prod):
    rules = {rule["id"]: rule for rule in inputs(prod, "lake-lifecycle")["rules"]}

    assert rules["abort-multipart-uploads"]["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 1}
    assert rules["expire-old-versions"]["noncurrentVersionExpiration"] == {"noncurrentDays": 30}
    aged = [rule for rule in rules.values() if "days" in rule.get("expiration", {})]
    assert {rule["filter"]["prefix"]: rule["expiration"]["days"] for rule in aged} == {
        "errors/bars/": retention.REJECTED_DAYS,
        "runs/": retention.RUNS_DAYS,
    }
    assert {item.inputs["retentionInDays"] for item in prod.all("LogGroup")} == {90}


def test_results_expire(prod):
    (rule,) = [rule for rule in inputs(prod, "lake-results-lifecycle")["rules"] if "expiration" in rule]

    assert rule["expiration"] == {"days": 7}


def test_the_bucket_can_be_an_existing_one():
    recording = deploy({**stack_config("dev"), "tickerlake:bucketName": "my-old-lake"})

    assert inputs(recording, "lake-bucket")["bucket"] == "my-old-lake"
    assert inputs(recording, "delivery-stream")["extendedS3Configuration"]["bucketArn"] == "arn:aws:s3:::my-old-lake"


# The catalog and the delivery


def test_the_table_has_the_columns_of_the_record(prod):
    table = inputs(prod, "catalog-table")

    assert [
        (column["name"], column["type"], column["comment"]) for column in table["storageDescriptor"]["columns"]
    ] == [(column.name, column.type, column.comment) for column in record.COLUMNS]
    assert [key["name"] for key in table["partitionKeys"]] == ["dt"]


def test_the_table_of_splits_reads_lines_of_json_without_partitions(prod):
    assert inputs(prod, "catalog-actions") == {
        "name": "actions",
        "databaseName": "tickerlake_prod",
        "description": "One report of one split; the latest report of a source counts",
        "tableType": "EXTERNAL_TABLE",
        "parameters": {"EXTERNAL": "TRUE", "classification": "json"},
        "storageDescriptor": {
            "location": f"s3://{BUCKET}/actions/",
            "inputFormat": "org.apache.hadoop.mapred.TextInputFormat",
            "outputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
            "serDeInfo": {"name": "json", "serializationLibrary": "org.openx.data.jsonserde.JsonSerDe"},
            "columns": [
                {"name": column.name, "type": column.type, "comment": column.comment} for column in record.ACTIONS
            ],
        },
    }


def test_the_table_of_runs_reads_the_same_lines_by_session(prod):
    table, splits = inputs(prod, "catalog-runs"), inputs(prod, "catalog-actions")["storageDescriptor"]

    assert [key["name"] for key in table["partitionKeys"]] == ["session"]
    assert table["storageDescriptor"] == {
        **splits,
        "location": f"s3://{BUCKET}/runs/",
        "columns": [
            {"name": column.name, "type": column.type, "comment": column.comment}
            for column in record.RUNS
            if column.name != "session"
        ],
    }


@pytest.mark.parametrize(
    ("table", "folder", "key"), [("catalog-table", "bars", "dt"), ("catalog-runs", "runs", "session")]
)
def test_tables_of_sessions_use_partition_projection(prod, table, folder, key):
    parameters = inputs(prod, table)["parameters"]

    assert {name: value for name, value in parameters.items() if "." in name} == {
        "projection.enabled": "true",
        f"projection.{key}.type": "date",
        f"projection.{key}.format": "yyyy-MM-dd",
        f"projection.{key}.range": "2020-01-01,NOW",
        f"projection.{key}.interval": "1",
        f"projection.{key}.interval.unit": "DAYS",
        "storage.location.template": f"s3://{BUCKET}/{folder}/{key}=${{{key}}}/",
    }


def test_the_crawler_crawls_this_table_twice_a_day_and_changes_no_columns(prod):
    crawler = inputs(prod, "catalog-crawler")

    assert crawler["catalogTargets"] == [{"databaseName": "tickerlake_prod", "tables": ["bars"]}]
    assert crawler["schedule"] == "cron(15 15,22 ? * MON-FRI *)"
    assert crawler["schemaChangePolicy"] == {"deleteBehavior": "LOG", "updateBehavior": "LOG"}


@pytest.mark.parametrize(
    ("exchanges", "schedule"),
    [
        ([exchange.XLON], "cron(15 9,18 ? * MON-FRI *)"),
        ([exchange.XNYS, exchange.XTKS], "cron(15 1,22 ? * MON-FRI *)"),
        ([exchange.XNYS, exchange.CRYPTO], "cron(15 1 ? * * *)"),
    ],
)
def test_the_crawler_runs_after_the_first_open_and_the_last_sweep(exchanges, schedule):
    assert crawl_schedule(exchanges) == schedule


def test_with_crawl_false_the_crawler_has_no_schedule(dev):
    assert "schedule" not in inputs(dev, "catalog-crawler")


def test_the_stream_writes_parquet_into_the_partition_of_each_bars_session(prod):
    assert inputs(prod, "delivery-stream") == {
        "name": "tickerlake-prod-bars",
        "destination": "extended_s3",
        "serverSideEncryption": {"enabled": True, "keyType": "AWS_OWNED_CMK"},
        "extendedS3Configuration": {
            "roleArn": f"arn:aws:iam::{ACCOUNT}:role/tickerlake-prod-delivery-role-0a1b2c3",
            "bucketArn": f"arn:aws:s3:::{BUCKET}",
            "prefix": "bars/dt=!{partitionKeyFromQuery:dt}/!{timestamp:yyyyMMdd}-",
            "errorOutputPrefix": "errors/bars/!{firehose:error-output-type}/!{timestamp:yyyy-MM-dd}/",
            "bufferingSize": 64,
            "bufferingInterval": 60,
            "compressionFormat": "UNCOMPRESSED",
            "s3BackupMode": "Disabled",
            "dynamicPartitioningConfiguration": {"enabled": True, "retryDuration": 300},
            "processingConfiguration": {
                "enabled": True,
                "processors": [
                    {
                        "type": "MetadataExtraction",
                        "parameters": [
                            {"parameterName": "JsonParsingEngine", "parameterValue": "JQ-1.6"},
                            {"parameterName": "MetadataExtractionQuery", "parameterValue": "{dt:.dt}"},
                        ],
                    }
                ],
            },
            "dataFormatConversionConfiguration": {
                "enabled": True,
                "inputFormatConfiguration": {"deserializer": {"openXJsonSerDe": {}}},
                "outputFormatConfiguration": {"serializer": {"parquetSerDe": {"compression": "SNAPPY"}}},
                "schemaConfiguration": {
                    "databaseName": "tickerlake_prod",
                    "tableName": "bars",
                    "region": "us-east-1",
                    "roleArn": f"arn:aws:iam::{ACCOUNT}:role/tickerlake-prod-delivery-role-0a1b2c3",
                    "versionId": "LATEST",
                },
            },
            "cloudwatchLoggingOptions": {
                "enabled": True,
                "logGroupName": "/aws/kinesisfirehose/tickerlake-prod-bars",
                "logStreamName": "delivery",
            },
        },
    }


# The collector


def test_the_function_runs_the_handler_on_arm_with_its_settings(prod):
    function = inputs(prod, "collector-function")

    assert (function["handler"], function["runtime"], function["architectures"]) == (
        "functions.collector.handler.handler",
        "python3.13",
        ["arm64"],
    )
    assert function["environment"]["variables"] == {
        "COLLECTOR_SOURCE": "yahoo",
        "COLLECTOR_STREAM": "tickerlake-prod-bars",
        "COLLECTOR_BUCKET": BUCKET,
        "COLLECTOR_TICKERS": "META,SHOP,BYND,NFLX,PINS,XYZ,TTD,OKTA,SNAP,DDOG,AMZN",
        "COLLECTOR_BAR_MINUTES": "5",
        "COLLECTOR_LOOK_BACK_MINUTES": "30",
        "COLLECTOR_DATABASE": "tickerlake_prod",
        "COLLECTOR_WORKGROUP": "tickerlake-prod",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "POWERTOOLS_METRICS_NAMESPACE": "Tickerlake",
        "POWERTOOLS_SERVICE_NAME": "tickerlake-prod-collector",
    }
    assert function["loggingConfig"]["logGroup"] == inputs(prod, "collector-logs")["name"]


def test_the_compactor_runs_from_the_same_zip_on_the_lake_and_its_results(prod):
    function = inputs(prod, "compactor-function")

    assert function["handler"] == "functions.compactor.handler.handler"
    assert function["s3Key"] == inputs(prod, "collector-code")["key"]
    assert {key: value for key, value in function["environment"]["variables"].items() if "COMPACTOR_" in key} == {
        "COMPACTOR_BUCKET": BUCKET,
        "COMPACTOR_RESULTS": "tickerlake-prod-lake-results-0a1b2c3",
        "COMPACTOR_DATABASE": "tickerlake_prod",
        "COMPACTOR_WORKGROUP": "tickerlake-prod",
    }


def test_the_forecaster_runs_from_the_same_zip_if_it_is_wanted(prod):
    function = inputs(prod, "forecaster-function")

    assert function["handler"] == "functions.forecaster.handler.handler"
    assert function["s3Key"] == inputs(prod, "collector-code")["key"]
    assert {key: value for key, value in function["environment"]["variables"].items() if "FORECASTER_" in key} == {
        "FORECASTER_BUCKET": BUCKET,
        "FORECASTER_DATABASE": "tickerlake_prod",
        "FORECASTER_WORKGROUP": "tickerlake-prod",
    }
    without = deploy({**stack_config("prod"), "tickerlake:forecast": False}, "prod")
    kept = {item.name for item in prod.registrations if "forecast" not in item.name}
    assert {item.name for item in without.registrations} == kept | {
        "tickerlake-prod-catalog-forecasts",
        *(f"tickerlake-prod-analytics-{query}" for query in ("forecasts", "forecast-scores")),
    }


def test_the_alerter_runs_from_the_same_zip_if_it_is_wanted(prod):
    function = inputs(prod, "alerter-function")

    assert function["handler"] == "functions.alerter.handler.handler"
    assert function["s3Key"] == inputs(prod, "collector-code")["key"]
    assert {key: value for key, value in function["environment"]["variables"].items() if "ALERTER_" in key} == {
        "ALERTER_RULES": '[{"new_high": 20}]',
        "ALERTER_TOPIC": f"arn:aws:sns:us-east-1:{ACCOUNT}:tickerlake-prod-alerter-alerts-0a1b2c3",
        "ALERTER_BUCKET": BUCKET,
        "ALERTER_DATABASE": "tickerlake_prod",
        "ALERTER_WORKGROUP": "tickerlake-prod",
    }
    assert ALERTS_PREFIX == infra.lake.ALERTS_PREFIX
    # A claim outlives its run, and is over before the next one.
    assert function["timeout"] < LEASE.total_seconds() < 300
    without = deploy({**stack_config("prod"), "tickerlake:alerts": False}, "prod")
    left = {item.name for item in without.registrations}
    kept = {item.name for item in prod.registrations if "alerter" not in item.name}
    assert left == kept - {"tickerlake-prod-monitoring-alerts-failing"}
    assert {"alerter", "alertTopic"} == prod.exports["tickerlake"].keys() - without.exports["tickerlake"].keys()


def test_alerts_go_to_an_encrypted_topic_of_their_own_and_by_mail_if_wanted(prod):
    mailed = deploy({**stack_config("prod"), "tickerlake:alertEmail": "me@example.com"}, "prod")

    assert inputs(prod, "alerter-alerts") == {"kmsMasterKeyId": "alias/aws/sns"}
    assert inputs(mailed, "alerter-email") == {
        "topic": prod.exports["tickerlake"]["alertTopic"],
        "protocol": "email",
        "endpoint": "me@example.com",
    }
    assert prod.exports["tickerlake"]["alertTopic"] in prod.exports["readme"]


def test_a_vendors_key_is_a_secret_that_only_the_function_may_read():
    key = json.dumps({"APCA_API_KEY_ID": "an-id", "APCA_API_SECRET_KEY": "a-secret"})
    recording = deploy({**stack_config("dev"), "tickerlake:source": "alpaca", "tickerlake:sourceKey": key})
    parameter = recording.one("collector-key")
    readers = {
        item.name: statement["Resource"]
        for item in recording.registrations
        if item.type in POLICY_PROPERTIES
        for statement in json.loads(item.inputs[POLICY_PROPERTIES[item.type]])["Statement"]
        if "ssm:GetParameter" in statement["Action"]
    }

    assert (parameter.inputs["type"], parameter.secrets) == ("SecureString", {"value"})
    assert parameter.inputs["value"] == key
    assert readers == {
        "tickerlake-dev-collector-role-policy": [
            f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/tickerlake-dev-collector/key"
        ]
    }
    others = [item.inputs for item in recording.registrations if item is not parameter]
    assert "a-secret" not in json.dumps([others, recording.exports], default=str)


def test_the_code_is_named_by_its_hash(prod):
    code, function = inputs(prod, "collector-code"), inputs(prod, "collector-function")

    assert (
        code["key"] == function["s3Key"] == "code/4d0e8ab3e8d8b6d9a4d5d2f9b0e0b2b8b0bd0f9c4f7c7a0c6d1c8b8f6a1e2d3c.zip"
    )
    assert code["bucket"] == function["s3Bucket"] == BUCKET


def test_failed_events_go_to_the_queue_without_a_retry(prod):
    assert inputs(prod, "collector-failure-destination") == {
        "functionName": "tickerlake-prod-collector",
        "maximumRetryAttempts": 0,
        "maximumEventAgeInSeconds": 3600,
        "destinationConfig": {"onFailure": {"destination": QUEUE_ARN}},
    }


def test_each_exchange_has_a_group_of_schedules_in_its_own_time(several):
    schedules = {item.name.removeprefix("tickerlake-prod-"): item.inputs for item in several.all("Schedule")}

    assert {
        name: (each["scheduleExpression"], each["scheduleExpressionTimezone"]) for name, each in schedules.items()
    } == {
        "collector-new-york-collect-1": ("cron(1/5 * * * ? *)", "America/New_York"),
        "collector-new-york-sweep-1": ("cron(5 17 * * ? *)", "America/New_York"),
        "collector-london-collect-1": ("cron(1/5 * * * ? *)", "Europe/London"),
        "collector-london-sweep-1": ("cron(35 17 * * ? *)", "Europe/London"),
        "collector-crypto-collect-1": ("cron(1/5 * * * ? *)", "UTC"),
        "collector-crypto-sweep-1": ("cron(5 1 * * ? *)", "UTC"),
        "compactor-compact": ("cron(50 * * * ? *)", "UTC"),
        "forecaster-new-york-forecast": ("cron(3 10-15 ? * MON-FRI *)", "America/New_York"),
        "forecaster-london-forecast": ("cron(3 9-16 ? * MON-FRI *)", "Europe/London"),
        "forecaster-crypto-forecast": ("cron(3 1-23 ? * * *)", "UTC"),
        "alerter-new-york-alert": ("cron(3/5 9-16 ? * MON-FRI *)", "America/New_York"),
        "alerter-new-york-alert-swept": ("cron(11 17 ? * MON-FRI *)", "America/New_York"),
        "alerter-london-alert": ("cron(3/5 8-16 ? * MON-FRI *)", "Europe/London"),
        "alerter-london-alert-swept": ("cron(41 17 ? * MON-FRI *)", "Europe/London"),
        "alerter-crypto-alert": ("cron(3/5 * * * ? *)", "UTC"),
    }
    assert {each["groupName"] for each in schedules.values()} == {
        item.inputs["name"] for item in several.all("ScheduleGroup")
    }
    for name, schedule in schedules.items():
        function = f"tickerlake-prod-{name.partition('-')[0]}"
        assert f"tickerlake-prod-{name}".startswith(f"{schedule['groupName']}-")
        assert schedule["name"] == f"tickerlake-prod-{name}"
        assert schedule["target"]["arn"] == FUNCTION_ARN.replace("tickerlake-prod-collector", function)
        assert schedule["target"]["roleArn"].endswith(f"role/{function}-scheduler-role-0a1b2c3")
        assert schedule["target"]["deadLetterConfig"] == {"arn": QUEUE_ARN}


def test_an_event_names_the_tickers_of_its_exchange(several):
    events = {
        item.name.removeprefix("tickerlake-prod-"): json.loads(item.inputs["target"]["input"])
        for item in several.all("Schedule")
    }

    assert events["collector-london-collect-1"] == {"tickers": ["VOD.L"]}
    assert events["collector-london-sweep-1"] == {"tickers": ["VOD.L"], "session": "last", "repair": True}
    assert events["collector-crypto-collect-1"] == {"tickers": ["BTC-USD"]}
    assert not {"VOD.L", "BTC-USD"} & set(events["collector-new-york-collect-1"]["tickers"])
    assert events["forecaster-london-forecast"] == {"exchange": "XLON"}


def test_the_scheduler_may_assume_a_functions_role_for_its_own_groups_only(several):
    trust = json.loads(inputs(several, "collector-scheduler-role")["assumeRolePolicy"])["Statement"][0]["Condition"]

    assert trust["StringEquals"]["aws:SourceArn"] == [
        f"arn:aws:scheduler:us-east-1:{ACCOUNT}:schedule-group/tickerlake-prod-collector-{place}"
        for place in ("new-york", "london", "crypto")
    ]


def test_each_exchange_has_its_own_heartbeats(several):
    alarms = {item.inputs["name"]: item.inputs for item in several.all("MetricAlarm")}

    for place, code in {"new-york": "XNYS", "london": "XLON", "crypto": "24/7"}.items():
        for name, metric in {"heartbeat": "Runs", "collector-silent": "BarsDelivered"}.items():
            alarm = alarms[f"tickerlake-prod-{name}-{place}"]
            assert (alarm["metricName"], alarm["treatMissingData"]) == (metric, "breaching")
            assert alarm["dimensions"] == {"service": "tickerlake-prod-collector", "exchange": code}


def test_the_saved_coverage_expects_the_sessions_of_every_exchange(several):
    calendar = inputs(several, "analytics-coverage")["query"]

    assert all(f"2026-11-20 {opens}" in calendar for opens in ("14:30:00", "08:00:00", "00:00:00"))


def test_a_long_watchlist_has_a_run_a_sweep_and_an_execution_for_each_shard(tmp_path):
    file = tmp_path / "tickerlake.toml"
    tickers = watchlist.add(file, [f"T{chr(65 + number // 26)}{chr(65 + number % 26)}" for number in range(120)])
    config = {**stack_config("dev"), "tickerlake:watchlist": str(file), "tickerlake:reserveConcurrency": "true"}
    recording = deploy(config)
    shards = [item for item in recording.all("Schedule") if "-collector-" in item.name]
    runs = [json.loads(item.inputs["target"]["input"]) for item in shards]

    assert [item.name for item in shards] == [
        f"tickerlake-dev-collector-new-york-{kind}-{number}" for kind in ("collect", "sweep") for number in (1, 2, 3)
    ]
    assert sorted(ticker for run in runs if "session" not in run for ticker in run["tickers"]) == sorted(tickers)
    assert inputs(recording, "collector-function")["reservedConcurrentExecutions"] == 3


def test_no_executions_are_reserved_by_default(dev):
    assert "reservedConcurrentExecutions" not in inputs(dev, "collector-function")


# Collecting outside


def test_collecting_outside_deploys_all_but_the_function_that_collects(dev, outside):
    everything, left = ({item.name for item in recording.registrations} for recording in (dev, outside))

    assert left <= everything
    assert {name.removeprefix("tickerlake-dev-") for name in everything - left} == {
        *("collector-function", "collector-failure-destination", "collector-logs"),
        *("collector-role", "collector-role-policy", "collector-scheduler-role", "collector-scheduler-role-policy"),
        *("collector-new-york-schedules", "collector-new-york-collect-1", "collector-new-york-sweep-1"),
        *("monitoring-collector-failing", "monitoring-collector-slow", "monitoring-collector-throttled"),
    }


def test_outside_the_alarms_watch_the_metrics_of_the_sender(outside):
    alarms = {item.inputs["name"].removeprefix("tickerlake-dev-"): item.inputs for item in outside.all("MetricAlarm")}

    for name, metric in {
        "heartbeat-new-york": "Runs",
        "collector-silent-new-york": "BarsDelivered",
        "vendor-refuses": "VendorAnswers",
    }.items():
        place = {} if name == "vendor-refuses" else {"exchange": "XNYS"}
        assert (alarms[name]["namespace"], alarms[name]["metricName"]) == ("Tickerlake", metric)
        assert alarms[name]["dimensions"] == {"service": "tickerlake-dev-bars"} | place
    silent = alarms["collector-silent-new-york"]
    assert silent["period"] * silent["evaluationPeriods"] == 7 * 24 * 3600


def test_outside_the_outputs_name_the_next_step(dev, outside):
    assert dev.exports["tickerlake"].keys() - outside.exports["tickerlake"].keys() == {"function"}
    for part in ("docs/outside.md", outside.exports["tickerlake"]["senderPolicy"], "--stream tickerlake-dev-bars"):
        assert part in outside.exports["readme"]


def test_the_alarm_and_the_outputs_say_what_to_do_if_the_vendor_refuses(dev):
    assert "docs/outside.md" in inputs(dev, "monitoring-vendor-refuses")["alarmDescription"]
    assert "`pulumi config set collect outside`" in dev.exports["readme"]


# Analytics


def test_the_workgroup_enforces_its_limits(prod):
    assert inputs(prod, "analytics-workgroup")["configuration"] == {
        "enforceWorkgroupConfiguration": True,
        "publishCloudwatchMetricsEnabled": True,
        "bytesScannedCutoffPerQuery": 10_000_000_000,
        "engineVersion": {"selectedEngineVersion": "Athena engine version 3"},
        "resultConfiguration": {
            "outputLocation": "s3://tickerlake-prod-lake-results-0a1b2c3/",
            "expectedBucketOwner": ACCOUNT,
            "encryptionConfiguration": {"encryptionOption": "SSE_S3"},
        },
    }


def test_every_query_is_saved_in_the_workgroup(prod):
    saved = {item.inputs["name"]: item.inputs for item in prod.all("NamedQuery")}

    assert set(saved) == {path.stem for path in (ROOT / "queries").glob("*.sql")}
    for name, query in saved.items():
        assert (query["database"], query["workgroup"]) == ("tickerlake_prod", "tickerlake-prod")
        assert query["query"] == console_sql(name, TODAY, [exchange.XNYS])


# Monitoring


def test_every_alarm_notifies_the_topic_when_it_fires_and_when_it_is_over(prod):
    for alarm in prod.all("MetricAlarm"):
        assert alarm.inputs["alarmActions"] == alarm.inputs["okActions"] == [TOPIC_ARN]
        assert alarm.inputs["alarmDescription"]


def test_the_heartbeats_alone_treat_missing_data_as_a_fault(prod):
    breaching = {
        item.inputs["name"]: item.inputs["metricName"]
        for item in prod.all("MetricAlarm")
        if item.inputs["treatMissingData"] == "breaching"
    }

    assert breaching == {
        "tickerlake-prod-collector-silent-new-york": "BarsDelivered",
        "tickerlake-prod-compaction-overdue": "Compactions",
        "tickerlake-prod-forecasts-missing": "ForecastsStored",
        "tickerlake-prod-heartbeat-new-york": "Runs",
    }


def test_the_dashboard_shows_collection_delivery_and_queries(prod):
    widgets = json.loads(inputs(prod, "monitoring-dashboard")["dashboardBody"])["widgets"]

    assert [widget["properties"]["title"] for widget in widgets] == [
        "Incoming records",
        "Delivery success",
        "Delivery delay, seconds",
        "Bars delivered",
        "Rejected records and failed tickers",
        "Collector duration, ms",
        "Collector runs",
        "Failed events and crawls",
        "Objects replaced by compaction",
        "Forecasts stored",
        "Alert messages",
        "Athena bytes scanned",
    ]
    assert widgets[0]["properties"]["metrics"] == [
        ["AWS/Firehose", "IncomingRecords", "DeliveryStreamName", "tickerlake-prod-bars"]
    ]
    assert widgets[-1]["properties"]["metrics"] == [
        [
            {
                "expression": 'SEARCH(\'Namespace="AWS/Athena" MetricName="ProcessedBytes" '
                "WorkGroup=\"tickerlake-prod\"', 'Sum')",
                "id": "scanned",
            }
        ]
    ]


def test_a_failed_crawl_notifies_the_topic(prod):
    assert json.loads(inputs(prod, "monitoring-crawler-failed")["eventPattern"])["detail"] == {
        "crawlerName": ["tickerlake-prod-crawler"],
        "state": ["Failed"],
    }
    assert inputs(prod, "monitoring-crawler-failed-topic")["arn"] == TOPIC_ARN


def test_mail_and_budget_exist_only_when_configured(dev, prod):
    assert dev.all("TopicSubscription") == dev.all("Budget") == []
    assert inputs(prod, "monitoring-email")["endpoint"] == "you@example.com"
    assert [notice["notificationType"] for notice in inputs(prod, "monitoring-budget")["notifications"]] == [
        "ACTUAL",
        "FORECASTED",
    ]


# Outputs


def test_one_output_names_what_was_deployed_and_the_readme_is_filled_in(prod):
    deployed_names = prod.exports["tickerlake"]

    assert set(deployed_names) == {
        *(
            "region",
            "database",
            "table",
            "firstSession",
            "workgroup",
            "bucket",
            "results",
            "stream",
            "function",
            "failures",
        ),
        *("compactor", "forecaster", "crawler", "readerPolicy", "senderPolicy", "alarmTopic", "dashboardUrl"),
        *("alerter", "alertTopic"),
    }
    assert deployed_names["dashboardUrl"].endswith("#dashboards:name=tickerlake-prod")
    assert f"s3://{BUCKET}/bars/" in prod.exports["readme"]
    assert "{" not in prod.exports["readme"].replace('{"session": "last"}', "")
