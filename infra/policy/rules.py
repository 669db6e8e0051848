"""The rules, as plain functions of a resource's type and inputs. Each yields one message per fault.

They check what the types of pulumi_aws, the service models of botocore and the usual packs do not: the contents of
texts, settings that only work together, and what this project needs. Encryption, public access, wildcards in policies,
TLS, retention and the like are in the packs of Pulumi and of Checkov, so they are not here:
https://www.pulumi.com/docs/reference/pre-built-policy-packs/
"""

from __future__ import annotations

import json
import re
import zoneinfo
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

Props = Mapping[str, Any]
Rule = Callable[[Props], Iterator[str]]

SECONDS_BETWEEN_RUNS = 300
POLICY_PROPERTIES = {
    "aws:iam/role:Role": "assumeRolePolicy",
    "aws:iam/rolePolicy:RolePolicy": "policy",
    "aws:iam/policy:Policy": "policy",
    "aws:s3/bucketPolicy:BucketPolicy": "policy",
    "aws:sns/topicPolicy:TopicPolicy": "policy",
    "aws:sqs/queuePolicy:QueuePolicy": "policy",
}

_FORMATS = {
    "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe": (
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    ),
    "org.openx.data.jsonserde.JsonSerDe": (
        "org.apache.hadoop.mapred.TextInputFormat",
        "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
    ),
}
"""The input and output format of each SerDe that tables use."""
_ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(\d{12})?:.+")
_S3_FOLDER = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/(.*/)?")
_DAY_OF_WEEK = r"(MON|TUE|WED|THU|FRI|SAT|SUN|[1-7])"
_CRON_FIELDS = (
    re.compile(r"(\*|\d{1,2}(-\d{1,2})?)(/\d{1,2})?(,\d{1,2})*"),
    re.compile(r"(\*|\d{1,2}(-\d{1,2})?)(/\d{1,2})?(,\d{1,2})*"),
    re.compile(r"\?|\*|L|\d{1,2}(-\d{1,2})?(,\d{1,2})*"),
    re.compile(r"\*|[A-Z0-9,/-]+"),
    re.compile(rf"\?|\*|{_DAY_OF_WEEK}(-{_DAY_OF_WEEK})?(,{_DAY_OF_WEEK})*"),
    re.compile(r"\*|\d{4}(-\d{4})?"),
)
_CRON_LIMITS = ((0, 59), (0, 23))
_HEARTBEATS = ("BarsDelivered", "Compactions", "ForecastsStored", "Runs")
"""Metrics whose alarms look back over more than any pause that is normal, so that missing data is a fault."""
_RATE = re.compile(r"rate\((1 (minute|hour|day)|([2-9]|[1-9]\d+) (minutes|hours|days))\)")


def violations(resource_type: str, props: Props) -> Iterator[str]:
    """The faults of a single resource."""
    if resource_type in POLICY_PROPERTIES:
        yield from policy_document(props[POLICY_PROPERTIES[resource_type]])
    for rule in RULES.get(resource_type, ()):
        yield from rule(props)


def stack_violations(resources: Iterable[tuple[str, Props]]) -> Iterator[str]:
    """The faults of resources in combination."""
    yield from _streams_away_from_their_table(list(resources))


# Policy documents


def policy_document(text: str) -> Iterator[str]:
    """AWS takes a resource that is no ARN, and an action on the wrong kind of resource; such a grant never matches."""
    try:
        statements = json.loads(text)["Statement"]
    except (ValueError, KeyError, TypeError):
        yield "the policy is not a JSON document with statements"
        return
    for statement in statements:
        actions, resources = _listed(statement.get("Action")), _listed(statement.get("Resource"))
        where = statement.get("Sid", ", ".join(actions))
        for resource in resources:
            if resource != "*" and not _ARN.fullmatch(resource):
                yield f"the policy statement {where} names {resource!r}, which is not an ARN"
        for action in actions:
            yield from _misplaced(where, action, resources)
        # The one action of ours that cannot name a resource, and can change something.
        if "cloudwatch:PutMetricData" in actions and not _condition(statement, "cloudwatch:namespace"):
            yield f"the policy statement {where} lets metrics of every namespace be written; name one in a condition"


def _condition(statement: Props, key: str) -> bool:
    return key in statement.get("Condition", {}).get("StringEquals", {})


def _misplaced(where: str, action: str, resources: Sequence[str]) -> Iterator[str]:
    """s3:ListBucket applies to the bucket, s3:GetObject to its objects; the other way round they never match."""
    for resource in resources:
        if re.fullmatch(r"s3:(Get|Put|Delete)Object", action) and re.fullmatch(r"arn:aws[a-z-]*:s3:::[^/]+", resource):
            yield f"the policy statement {where} grants {action} on a bucket, not on its objects"
        if action == "s3:ListBucket" and re.fullmatch(r"arn:aws[a-z-]*:s3:::[^/]+/.*", resource):
            yield f"the policy statement {where} grants {action} on objects, not on their bucket"


def _listed(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


# Schedules


def cron(expression: str) -> Iterator[str]:
    """EventBridge's six fields: `cron(minute hour day month weekday year)`, with `?` for one of the two days."""
    fields = expression.removeprefix("cron(").removesuffix(")").split(" ")
    if not (expression.startswith("cron(") and expression.endswith(")") and len(fields) == len(_CRON_FIELDS)):
        yield f"the schedule {expression!r} is not cron() with six fields"
        return
    for field, allowed in zip(fields, _CRON_FIELDS, strict=True):
        if not allowed.fullmatch(field):
            yield f"the schedule {expression!r} has the invalid field {field!r}"
    for field, (low, high) in zip(fields, _CRON_LIMITS, strict=False):
        if any(not low <= int(number) <= high for number in re.findall(r"\d+", field)):
            yield f"the schedule {expression!r} has {field!r} outside {low} to {high}"
    if (fields[2] == "?") == (fields[4] == "?"):
        yield f"the schedule {expression!r} needs `?` for either the day of the month or the day of the week"


def _schedule(props: Props) -> Iterator[str]:
    """Schedules take any text as an expression, a zone or an input; a wrong one fails on creation, or never fires."""
    expression = props.get("scheduleExpression", "")
    if not _RATE.fullmatch(expression):
        yield from cron(expression)
    zone = props.get("scheduleExpressionTimezone", "UTC")
    if zone not in zoneinfo.available_timezones():
        yield f"the schedule's time zone {zone!r} does not exist"
    window = props.get("flexibleTimeWindow", {})
    if (window.get("mode") == "FLEXIBLE") != bool(window.get("maximumWindowInMinutes")):
        yield "a FLEXIBLE schedule needs a window in minutes, and an OFF one must not have it"
    target = props.get("target", {})
    for key in ("arn", "roleArn"):
        if not _ARN.fullmatch(str(target.get(key))):
            yield f"the schedule's target has {key} {target.get(key)!r}, which is not an ARN"
    if not isinstance(_json(target.get("input", "{}")), dict):
        yield f"the schedule's input {target.get('input')!r} is not a JSON object"
    if not target.get("deadLetterConfig"):
        yield "the schedule loses events it cannot deliver; give its target a dead-letter queue"


# The function


def _function(props: Props) -> Iterator[str]:
    """Lambda asks for a handler and code only when it creates a function; runs that overlap ask the vendor twice."""
    if props.get("packageType", "Zip") == "Zip":
        for key in ("handler", "runtime"):
            if not props.get(key):
                yield f"a function deployed as a zip needs a {key}"
        if not (props.get("code") or (props.get("s3Bucket") and props.get("s3Key"))):
            yield "the function has no code"
    if props.get("handler") and not re.fullmatch(r"\w+(\.\w+)+", props["handler"]):
        yield f"the function's handler {props['handler']!r} is not module.function"
    if not 1 <= props.get("timeout", 3) < SECONDS_BETWEEN_RUNS:
        yield f"the timeout of {props.get('timeout')} seconds lets a run overlap the next one"
    if props.get("reservedConcurrentExecutions") == 0:
        yield "a function with zero reserved concurrency never runs"
    if not props.get("loggingConfig", {}).get("logGroup"):
        yield "the function logs to a default group, which keeps logs forever; name one"
    yield from _environment(props.get("environment", {}).get("variables", {}))


def _environment(variables: Props) -> Iterator[str]:
    """Our settings take an empty variable as unset, so one in the stack is a mistake."""
    for key, value in variables.items():
        if isinstance(value, str) and value == "":
            yield f"the function's environment leaves {key} empty"


def _event_invoke_config(props: Props) -> Iterator[str]:
    """A queue's URL is accepted here, and then no failed event arrives."""
    destination = props.get("destinationConfig", {}).get("onFailure", {}).get("destination", "")
    if not _ARN.fullmatch(destination):
        yield f"failed events go to {destination!r}, which is not an ARN"


# Delivery


def _stream(props: Props) -> Iterator[str]:
    """Firehose's prefixes are texts in a language of their own; a wrong one puts bars where no query reads them."""
    destination = props.get("extendedS3Configuration")
    if destination is None or props.get("destination") != "extended_s3":
        yield f"the stream goes to {props.get('destination')!r}; the lake is on S3"
        return
    for key in ("roleArn", "bucketArn"):
        if not _ARN.fullmatch(str(destination.get(key))):
            yield f"the stream has {key} {destination.get(key)!r}, which is not an ARN"
    prefix, errors = destination.get("prefix", ""), destination.get("errorOutputPrefix", "")
    if "!{" in prefix and not errors:
        yield "a prefix with expressions needs an error prefix"
    table = prefix.split("!{", maxsplit=1)[0].rpartition("/")[0]
    if table and errors.startswith(f"{table}/"):
        yield f"the error prefix {errors!r} is inside the table's {table}/, where queries read it"
    if errors and "!{firehose:error-output-type}" not in errors:
        yield "the error prefix needs !{firehose:error-output-type}, or kinds of errors get mixed up"
    yield from _partitioning(destination, prefix)
    yield from _conversion(destination)
    if not destination.get("cloudwatchLoggingOptions", {}).get("enabled"):
        yield "the stream does not log what it cannot deliver"


def _partitioning(destination: Props, prefix: str) -> Iterator[str]:
    """The keys that the prefix uses must be those that the processor extracts:
    https://docs.aws.amazon.com/firehose/latest/dev/dynamic-partitioning.html
    """
    if prefix and not prefix.rpartition("/")[0].endswith("}"):
        yield f"the prefix {prefix!r} must have a slash right after its partition, and no folders below it"
    if prefix and "!{timestamp:" not in prefix:
        yield f"the prefix {prefix!r} has no timestamp, so Firehose adds folders of hours below the partition"
    asked = set(re.findall(r"!\{partitionKeyFromQuery:(\w+)\}", prefix))
    dynamic = destination.get("dynamicPartitioningConfiguration", {}).get("enabled", False)
    processing = destination.get("processingConfiguration", {})
    processors = processing.get("processors", []) if processing.get("enabled") else []
    parameters = {
        parameter["parameterName"]: parameter["parameterValue"]
        for processor in processors
        if processor.get("type") == "MetadataExtraction"
        for parameter in processor.get("parameters", [])
    }
    query = parameters.get("MetadataExtractionQuery", "")
    if asked and not dynamic:
        yield "a prefix with partition keys needs dynamic partitioning"
    if dynamic and not query:
        yield "dynamic partitioning needs a processor that extracts the keys"
    if query and parameters.get("JsonParsingEngine") != "JQ-1.6":
        yield "the processor must name JQ-1.6, the only engine there is"
    extracted = set(re.findall(r"(\w+)\s*:\s*\.", query))
    if query and extracted != asked:
        yield f"the prefix uses the keys {sorted(asked)}, but the query {query!r} extracts {sorted(extracted)}"
    if dynamic and destination.get("bufferingSize", 5) < 64:
        yield "dynamic partitioning needs a buffer of at least 64 MiB"
    if dynamic and not 60 <= destination.get("bufferingInterval", 300) <= 900:
        yield "dynamic partitioning needs a buffer of 60 to 900 seconds"


def _conversion(destination: Props) -> Iterator[str]:
    """The lake is Parquet, converted from lines of JSON as the OpenX SerDe reads them."""
    conversion = destination.get("dataFormatConversionConfiguration", {})
    if not conversion or not conversion.get("enabled", True):
        yield "the stream writes JSON; the lake is Parquet"
        return
    if destination.get("compressionFormat", "UNCOMPRESSED") != "UNCOMPRESSED":
        yield "Parquet is compressed already: the stream's compression must be UNCOMPRESSED"
    deserializer = conversion.get("inputFormatConfiguration", {}).get("deserializer", {})
    if _names(deserializer) != ["openXJsonSerDe"]:
        yield "the input must be read by the OpenX JSON SerDe alone"
    serializer = conversion.get("outputFormatConfiguration", {}).get("serializer", {})
    if _names(serializer) != ["parquetSerDe"]:
        yield "the output must be Parquet"
    if destination.get("bufferingSize", 5) < 64:
        yield "format conversion needs a buffer of at least 64 MiB"


def _names(value: Props) -> list[str]:
    """The properties of `value`, without the engine's own `__defaults`."""
    return [name for name in value if not name.startswith("__")]


# The catalog


def _table(props: Props) -> Iterator[str]:
    """Glue takes any text for a location, a format or a type; Athena then fails, or finds nothing."""
    storage, parameters = props.get("storageDescriptor", {}), props.get("parameters", {})
    location, keys = storage.get("location", ""), [key["name"] for key in props.get("partitionKeys", [])]
    if not _S3_FOLDER.fullmatch(location):
        yield f"the table's location {location!r} is not s3://bucket/folder/"
    if props.get("tableType") != "EXTERNAL_TABLE":
        yield "the table must be an EXTERNAL_TABLE"
    library = storage.get("serDeInfo", {}).get("serializationLibrary", "")
    if _FORMATS.get(library) != (storage.get("inputFormat"), storage.get("outputFormat")):
        yield f"the table's input and output formats are not those of its SerDe {library!r}"
    names = [column["name"] for column in storage.get("columns", [])]
    if set(names) & set(keys) or len(set(names)) != len(names):
        yield "a column is declared twice; partition keys are not columns"
    if not all(name == name.lower() for name in (*names, *keys, props.get("name", ""))):
        yield "Glue and Athena allow lower-case names only"
    known = re.compile(
        r"string|timestamp|int|bigint|double|boolean|date|decimal\(\d+,\d+\)|array<.+>|struct<.+>|map<.+>"
    )
    for column in storage.get("columns", []):
        if not known.fullmatch(column.get("type", "")):
            yield f"the column {column['name']} has the type {column.get('type')!r}, which Athena does not support"
    if parameters.get("projection.enabled") == "true":
        yield from _projection(parameters, keys, location)


def _projection(parameters: Props, keys: Sequence[str], location: str) -> Iterator[str]:
    """The projection is a map of texts. With a fault in it, a table silently has no rows."""
    projected = {name.split(".")[1] for name in parameters if re.fullmatch(r"projection\.\w+\.type", name)}
    if projected != set(keys):
        yield f"the projection covers {sorted(projected)}, but the partition keys are {sorted(keys)}"
    template = parameters.get("storage.location.template", "")
    if not template.startswith(location) or set(re.findall(r"\$\{(\w+)\}", template)) != set(keys):
        yield f"the projection's template {template!r} must start with the table's location and contain every key"
    if not template.endswith("/"):
        yield f"the projection's template {template!r} does not end with a slash"
    for key in projected:
        kind, bounds = parameters[f"projection.{key}.type"], parameters.get(f"projection.{key}.range", "")
        if kind not in {"date", "integer", "enum", "injected"}:
            yield f"the projection of {key} has the unknown type {kind!r}"
        if kind == "date" and parameters.get(f"projection.{key}.format") != "yyyy-MM-dd":
            yield f"the projection of {key} must format days as yyyy-MM-dd"
        if kind == "date" and not re.fullmatch(r"\d{4}-\d{2}-\d{2},NOW", bounds):
            yield f"the projection of {key} has the range {bounds!r}; it must run from a date to NOW"


def _crawler(props: Props) -> Iterator[str]:
    """The table's columns are declared in code: the crawler must not change them."""
    schedule = props.get("schedule")
    if schedule is not None:
        yield from cron(schedule)  # Glue has no rate()
    policy = props.get("schemaChangePolicy", {})
    if props.get("catalogTargets") and policy.get("deleteBehavior") != "LOG":
        yield "a crawler on a catalog table must use LOG for deletions"
    if policy.get("updateBehavior") != "LOG":
        yield "the crawler would change the table's columns; use LOG for updates"
    if props.get("recrawlPolicy", {}).get("recrawlBehavior") == "CRAWL_NEW_FOLDERS_ONLY" and props.get(
        "catalogTargets"
    ):
        yield "CRAWL_NEW_FOLDERS_ONLY works for S3 targets only"
    if not isinstance(_json(props.get("configuration", "{}")), dict):
        yield "the crawler's configuration is not a JSON object"


# Analytics


def _workgroup(props: Props) -> Iterator[str]:
    """The scan limit is what one query can cost; the queries are written for one version of the engine."""
    configuration = props.get("configuration", {})
    results = configuration.get("resultConfiguration", {})
    if not configuration.get("bytesScannedCutoffPerQuery"):
        yield "the workgroup has no scan limit"
    if not _S3_FOLDER.fullmatch(results.get("outputLocation", "")):
        yield f"the workgroup's results go to {results.get('outputLocation')!r}, which is not s3://bucket/folder/"
    engine = configuration.get("engineVersion", {}).get("selectedEngineVersion")
    if engine != "Athena engine version 3":
        yield f"the queries are written for Athena engine version 3, not for {engine!r}"


def _named_query(props: Props) -> Iterator[str]:
    """A saved query runs as it is: it cannot have parameters."""
    left = re.findall(r"%\(\w+\)s|(?<=\s)\?(?=\s)", props.get("query", ""))
    if left or not props.get("query", "").strip():
        yield f"the saved query {props.get('name')} cannot run: {left or 'it is empty'}"


# Lake and monitoring


def _lifecycle(props: Props) -> Iterator[str]:
    """Nothing may delete what the vendor no longer has."""
    rules = [rule for rule in props.get("rules", []) if rule.get("status") == "Enabled"]
    for rule in rules:
        prefix, expiration = rule.get("filter", {}).get("prefix", ""), rule.get("expiration", {})
        for kept in ("bars/", "actions/", "forecasts/"):
            if "days" in expiration and kept.startswith(prefix) and rule.get("id") != "expire-results":
                yield f"the rule {rule.get('id')} deletes {kept}"


def _queue(props: Props) -> Iterator[str]:
    """Somebody who is away for a week must still find the events that failed."""
    if props.get("messageRetentionSeconds", 345600) < 7 * 24 * 3600:
        yield "the queue keeps failed events for less than a week"


def _alarm(props: Props) -> Iterator[str]:
    """Markets sleep at night, so missing data is a fault of the heartbeats only; every alarm says when it is over."""
    if not props.get("okActions"):
        yield f"the alarm {props.get('name')} does not say when it is over: it has no okActions"
    for key in ("alarmActions", "okActions"):
        for arn in props.get(key) or []:
            if not _ARN.fullmatch(arn):
                yield f"the alarm {props.get('name')} has the action {arn!r}, which is not an ARN"
    missing = props.get("treatMissingData", "missing")
    if missing not in {"notBreaching", "breaching", "ignore"}:
        yield f"the alarm {props.get('name')} treats missing data as {missing!r}; set breaching, notBreaching or ignore"
    if missing == "breaching" and props.get("metricName") not in _HEARTBEATS:
        yield f"the alarm {props.get('name')} fires every night: missing data is breaching"
    span = props.get("period", 0) * props.get("evaluationPeriods", 0)
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    if span > (7 * 86_400 if props.get("period", 0) >= 3600 else 86_400):
        yield f"the alarm {props.get('name')} looks back {span} seconds, more than CloudWatch allows"
    if props.get("period", 0) % 60:
        yield f"the alarm {props.get('name')} has a period of {props.get('period')} seconds; it must be whole minutes"
    if props.get("datapointsToAlarm", 1) > props.get("evaluationPeriods", 1):
        yield f"the alarm {props.get('name')} needs more data points than it evaluates"


def _event_rule(props: Props) -> Iterator[str]:
    """EventBridge takes a pattern of plain texts as JSON, and refuses it on creation."""
    pattern = _json(props.get("eventPattern", ""))
    if not isinstance(pattern, dict) or not all(isinstance(value, list | dict) for value in pattern.values()):
        yield "the event pattern is not a JSON object of lists"


def _dashboard(props: Props) -> Iterator[str]:
    """Widgets that overlap are moved by CloudWatch, and then each update shows a change."""
    body = _json(props.get("dashboardBody", ""))
    if not isinstance(body, dict) or not body.get("widgets"):
        yield "the dashboard has no widgets"
        return
    taken = [(widget["x"], widget["y"]) for widget in body["widgets"]]
    if len(set(taken)) != len(taken) or any(widget["x"] + widget["width"] > 24 for widget in body["widgets"]):
        yield "the dashboard's widgets overlap, or exceed its 24 columns"


def _budget(props: Props) -> Iterator[str]:
    """A budget without a subscriber, or with an amount in words, warns nobody."""
    if not all(notice.get("subscriberEmailAddresses") for notice in props.get("notifications", [])):
        yield "the budget notifies no one"
    if not re.fullmatch(r"\d+(\.\d+)?", props.get("limitAmount", "")):
        yield f"the budget's limit {props.get('limitAmount')!r} is not an amount"


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        return None


# Resources together


def _streams_away_from_their_table(resources: Sequence[tuple[str, Props]]) -> Iterator[str]:
    """A stream must write to where the table of its schema reads."""
    tables = {
        (props.get("databaseName"), props.get("name")): props
        for kind, props in resources
        if kind == "aws:glue/catalogTable:CatalogTable"
    }
    for kind, props in resources:
        if kind != "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream":
            continue
        destination = props.get("extendedS3Configuration", {})
        schema = destination.get("dataFormatConversionConfiguration", {}).get("schemaConfiguration", {})
        table = tables.get((schema.get("databaseName"), schema.get("tableName")))
        if table is None:
            yield f"the stream takes its schema from {schema.get('tableName')!r}, which is not a table of this stack"
            continue
        if ".parquet." not in table.get("storageDescriptor", {}).get("serDeInfo", {}).get("serializationLibrary", ""):
            yield f"the stream writes Parquet, which the table {table.get('name')} does not read"
        bucket = str(destination.get("bucketArn")).rpartition(":")[2]
        folder = "".join(destination.get("prefix", "").rpartition("/")[:2])
        prefix = re.sub(r"!\{partitionKeyFromQuery:(\w+)\}", r"${\1}", folder)
        template = table.get("parameters", {}).get("storage.location.template")
        if f"s3://{bucket}/{prefix}" != template:
            yield f"the stream writes to s3://{bucket}/{prefix}, but the table reads {template}"


RULES: Mapping[str, Sequence[Rule]] = {
    "aws:athena/namedQuery:NamedQuery": [_named_query],
    "aws:athena/workgroup:Workgroup": [_workgroup],
    "aws:budgets/budget:Budget": [_budget],
    "aws:cloudwatch/dashboard:Dashboard": [_dashboard],
    "aws:cloudwatch/eventRule:EventRule": [_event_rule],
    "aws:cloudwatch/metricAlarm:MetricAlarm": [_alarm],
    "aws:glue/catalogTable:CatalogTable": [_table],
    "aws:glue/crawler:Crawler": [_crawler],
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": [_stream],
    "aws:lambda/function:Function": [_function],
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": [_event_invoke_config],
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": [_lifecycle],
    "aws:scheduler/schedule:Schedule": [_schedule],
    "aws:sqs/queue:Queue": [_queue],
}
