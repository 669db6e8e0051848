"""Patches that make ministack 1.5.33 behave as AWS does where the tests need it.

`python -m tests.cloud.patches` starts the patched emulator. PATCHED lists every function that is replaced or used, with
a hash of its source; `test_patches.py` fails when a new version changes one.

    Firehose    buffers records and writes one object per partition, not one per record
    crawler     registers the partitions it finds under a catalog table, and fails without a table
    Athena      reads the partitions of the projection or the catalog; has Trino's functions, integer division and
                UTC; writes results where and how Athena does; names a missing table as Athena does; enforces the
                workgroup; knows "$path"; runs UNLOAD, which writes several objects and a manifest
    callers     names the resource of a request as policies do: a query's workgroup, a crawler, alarms; knows the
                namespace of metrics that are put
    IAM         simulates with the context of the request
    Lambda      assigns the whole log of a run to that run, even on a slow machine
    Scheduler   checks for due schedules every fifth of a second, not every ten seconds
"""

from __future__ import annotations

import contextvars
import dataclasses
import datetime as dt
import functools
import hashlib
import inspect
import io
import itertools
import json
import os
import re
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pyarrow.parquet
from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.core.responses import error_response_json, json_response
from ministack.services import athena, eventbridge, firehose, glue, iam, s3, scheduler

from tickerlake.lake.sql import trino_functions

VERSION = "1.5.33"
TIME_SCALE = float(os.environ.get("EMULATOR_TIME_SCALE", "0.005"))
"""Duration in seconds of one second of Firehose and the crawler."""
CRAWL_SECONDS = 30
TICK_SECONDS = 0.2

PATCHED = {
    (firehose, "_deliver_records_to_s3"): "1f7d459024276df3",
    (firehose, "_deliver_to_s3"): "35b6b7a4699157b0",
    (firehose, "_convert_to_parquet"): "08264c81ebac8d92",
    (firehose, "_put_record_batch"): "5e868d2aec51e622",
    (firehose, "_put_s3_object"): "f96f3d026aa21530",
    (glue, "_start_crawler"): "442900d0f05382e8",
    (glue, "_create_partition"): "568016195403192d",
    (athena, "_start_query_execution"): "405753f7beaf6c7c",
    (athena, "_run_duckdb"): "734c2e91cdac17e0",
    (athena, "_materialize_table_files"): "e4f134f666f9c516",
    (athena, "_save_query_results"): "4ff2ac770a744f4b",
    (athena, "_table_relation"): "a1a2686723d2ddff",
    (athena, "_table_references"): "f2a468cd12d96ce7",
    (athena, "_duckdb_type"): "4198ed4b47d0c533",
    (iam_actions, "extract_resource_arn"): "82f51700695c62fd",
    (iam_actions, "request_tag_context"): "d46adb816e024778",
    (iam, "_simulate_principal_policy"): "8dbfeffbf14502f4",
    (lambda_runtime.Worker, "_drain_stderr_bounded"): "3fd7cc742872e604",
    (scheduler, "_ticker_loop"): "51e1b1334023fb4a",
    (scheduler, "_tick_schedules"): "0ece514e91205b1d",
}
"""Start of the SHA-256 of each function's source."""
_ORIGINAL = {key: getattr(*key) for key in PATCHED}


def changed() -> list[str]:
    """The functions whose source differs from the one the patches were written for."""
    return [
        f"{module.__name__}.{name}"
        for (module, name), expected in PATCHED.items()
        if hashlib.sha256(inspect.getsource(_ORIGINAL[module, name]).encode()).hexdigest()[:16] != expected
    ]


def apply() -> None:
    """Applies the patches to this process."""
    firehose._deliver_records_to_s3 = _gather
    glue._start_crawler = _start_crawler
    athena._start_query_execution = _start_query_execution
    athena._run_duckdb = _run_duckdb
    athena._materialize_table_files = _materialize_table_files
    athena._save_query_results = _save_query_results
    athena._table_relation = _table_relation
    athena._table_references = _table_references
    iam_actions.extract_resource_arn = _extract_resource_arn
    iam_actions.request_tag_context = _request_tag_context
    iam._IAM_HANDLERS["SimulatePrincipalPolicy"] = _simulate_principal_policy
    lambda_runtime.Worker._drain_stderr_bounded = _drain_stderr
    scheduler._SCHEDULE_TICK_INTERVAL = TICK_SECONDS


# Firehose

FAULTS = Path(os.environ["EMULATOR_FAULTS"]) if "EMULATOR_FAULTS" in os.environ else None
"""A JSON file with the faults of Firehose that a proxy cannot inject."""
_met: dict[str, int] = {}
_gathered: dict[str, list[tuple[str, bytes]]] = {}
_gathering = threading.Lock()


def _gather(stream: dict[str, Any], destination: dict[str, Any], records: list[tuple[str, bytes]]) -> None:
    """Buffers `records` until the interval is over that the first of them started.

    If it raises, the emulator answers 200 and reports this record as refused.
    """
    if _fault("refuse"):
        raise OSError("Slow down.")
    with _gathering:
        waiting = _gathered.setdefault(stream["arn"], [])
        if not waiting:
            seconds = destination["config"]["BufferingHints"]["IntervalInSeconds"] * TIME_SCALE
            context = contextvars.copy_context()
            timer = threading.Timer(seconds, context.run, (_flush, stream, destination))
            timer.daemon = True
            timer.start()
        waiting += records


def _fault(name: str) -> bool:
    """Whether to inject the fault `name`: always, or for every third record up to a number of them."""
    asked = json.loads(FAULTS.read_text(encoding="utf-8")) if FAULTS else {}
    if name not in asked:
        _met.pop(name, None)
        return False
    _met[name] = _met.get(name, 0) + 1
    return asked[name] is True or (_met[name] % 3 == 0 and _met[name] // 3 <= asked[name])


def _flush(stream: dict[str, Any], destination: dict[str, Any]) -> None:
    """Writes the buffered records: one object per partition, and an error for each record that does not fit."""
    while _fault("hold"):
        time.sleep(0.05)
    with _gathering:
        records = _gathered.pop(stream["arn"], [])
    config = destination["config"]
    now = firehose._arrival_time(config)
    partitions: dict[str, list[bytes]] = {}
    for _, data in records:
        try:
            keys = firehose._metadata_extraction_keys(config, data)
            # One at a time, to find those that do not fit; the emulator converts all or nothing.
            if list(firehose._json_documents(data)):
                prefix = firehose._evaluate_prefix(config["Prefix"], now, keys)
                partitions.setdefault(prefix, []).append(data)
        except firehose._DeliveryError:
            _ORIGINAL[firehose, "_deliver_to_s3"](stream, destination, data)
    bucket = firehose._s3_bucket_from_arn(config["BucketARN"])
    for prefix, lines in partitions.items():
        name = f"{stream['name']}-{stream['version']}-{time.strftime('%Y-%m-%d-%H-%M-%S', now)}-{uuid.uuid4()}.parquet"
        try:
            body = firehose._convert_to_parquet(config["DataFormatConversionConfiguration"], b"".join(lines))
        except firehose._DeliveryError:
            for line in lines:
                _ORIGINAL[firehose, "_deliver_to_s3"](stream, destination, line)
        else:
            firehose._put_s3_object(bucket, prefix + name, body)


# Glue's crawler


def _start_crawler(request: dict[str, Any]) -> Any:
    crawler = glue._crawlers.get(request.get("Name"))
    if crawler is None or crawler["State"] == "RUNNING":
        return _ORIGINAL[glue, "_start_crawler"](request)
    crawler.update(State="RUNNING", CrawlElapsedTime=0)
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(_crawl, crawler), daemon=True).start()
    return json_response({})


def _crawl(crawler: dict[str, Any]) -> None:
    started = time.time()
    time.sleep(CRAWL_SECONDS * TIME_SCALE)
    last = {
        "Status": "SUCCEEDED",
        "LogGroup": "/aws-glue/crawlers",
        "LogStream": crawler["Name"],
        "MessagePrefix": str(uuid.uuid4()),
        "StartTime": started,
    }
    try:
        for target in crawler["Targets"]["CatalogTargets"]:
            for table in target["Tables"]:
                _register_partitions(target["DatabaseName"], table)
    except KeyError as error:
        last |= {"Status": "FAILED", "ErrorMessage": f"Table {error.args[0]} does not exist"}
    crawler.update(State="READY", CrawlElapsedTime=int((time.time() - started) * 1000), LastCrawl=last)
    state = last["Status"].capitalize()
    event = {
        "Source": "aws.glue",
        "DetailType": "Glue Crawler State Change",
        "Detail": f'{{"crawlerName": "{crawler["Name"]}", "state": "{state}"}}',
    }
    eventbridge._put_events({"Entries": [event]}, allow_aws_source=True)


def _register_partitions(database: str, name: str) -> None:
    table = glue._tables.get(f"{database}/{name}")
    if table is None:
        raise KeyError(f"{database}.{name}")
    storage = table["StorageDescriptor"]
    known = {tuple(partition["Values"]) for partition in glue._partitions.get(f"{database}/{name}", [])}
    location = storage["Location"].rstrip("/")
    keys = [key["Name"] for key in table["PartitionKeys"]]
    for values in sorted(_partitions(location, keys) - known):
        folder = "/".join(f"{key}={value}" for key, value in zip(keys, values, strict=True))
        partition = {"Values": list(values), "StorageDescriptor": {**storage, "Location": f"{location}/{folder}/"}}
        glue._create_partition({"DatabaseName": database, "TableName": name, "PartitionInput": partition})


def _partitions(location: str, keys: list[str]) -> set[tuple[str, ...]]:
    """The values of `keys` in the folders under `location` that hold an object."""
    place = urlsplit(f"{location}/")
    folders = "".join(f"{re.escape(key)}=([^/]+)/" for key in keys)
    pattern = re.compile(re.escape(place.path.lstrip("/")) + folders)
    return {match.groups() for key in list(s3._buckets[place.netloc]["objects"]) if (match := pattern.match(key))}


# Athena

_TRINO = f"""
{trino_functions("TEMP MACRO")}
SET TimeZone = 'UTC';
SET integer_division = true;
"""


def _start_query_execution(request: dict[str, Any]) -> Any:
    workgroup = athena._workgroups.get(request.get("WorkGroup", "primary"))
    if workgroup is None:
        return error_response_json(
            "InvalidRequestException",
            f"WorkGroup {request['WorkGroup']} is not found.",
            400,
            extra={"AthenaErrorCode": "INVALID_INPUT"},
        )
    if workgroup["Configuration"].get("EnforceWorkGroupConfiguration"):
        request = {key: value for key, value in request.items() if key != "ResultConfiguration"}
    return _ORIGINAL[athena, "_start_query_execution"](request)


_UNLOAD = re.compile(r"UNLOAD \((.*)\) TO 's3://([^/']+)/([^']+)' WITH \(format = 'PARQUET',.*\)", re.DOTALL)
_UNLOADED_OBJECTS = 3
"""How many objects UNLOAD writes. Athena decides by itself."""
_shows_paths: contextvars.ContextVar[bool] = contextvars.ContextVar("shows_paths", default=False)


async def _run_duckdb(query: str, database: str, catalog: str | None = None) -> dict[str, Any]:
    _shows_paths.set('"$path"' in query)
    if match := _UNLOAD.fullmatch(query):
        return await _unload(*match.groups(), database)
    try:
        results = await _ORIGINAL[athena, "_run_duckdb"](_TRINO + query, database, catalog)
    except duckdb.CatalogException as error:
        if not (missing := re.search(r"Table with name (\w+) does not exist", str(error))):
            raise
        message = f"TABLE_NOT_FOUND: line 1:1: Table 'awsdatacatalog.{database}.{missing[1]}' does not exist"
        raise duckdb.CatalogException(message) from error
    return {**results, "rows": [[_as_athena_writes(value) for value in row] for row in results["rows"]]}


def _table_references(query: str) -> list[Any]:
    """The tables that a query reads, without those of its WITH, which the emulator looks for at the start only."""
    before = len(_TRINO) if query.startswith(_TRINO) else 0
    found = _ORIGINAL[athena, "_table_references"](query[before:])
    return [dataclasses.replace(each, start=each.start + before, end=each.end + before) for each in found]


async def _unload(select: str, bucket: str, prefix: str, database: str) -> dict[str, Any]:
    """Writes the rows of `select` as Parquet below `prefix`; returns a row for each object."""
    if [key for key in s3._buckets[bucket]["objects"] if key.startswith(prefix)]:
        raise duckdb.InvalidInputException(f"HIVE_PATH_ALREADY_EXISTS: s3://{bucket}/{prefix}")
    with tempfile.TemporaryDirectory() as folder:
        text = f"COPY ({select}) TO '{folder}/all' (FORMAT parquet)"
        await _ORIGINAL[athena, "_run_duckdb"](_TRINO + text, database)
        rows = pyarrow.parquet.read_table(f"{folder}/all")
        written = []
        step = -(-rows.num_rows // _UNLOADED_OBJECTS) or 1
        for start in range(0, rows.num_rows, step):
            part = io.BytesIO()
            pyarrow.parquet.write_table(rows.slice(start, step), part)
            written.append(f"s3://{bucket}/{prefix}{uuid.uuid4()}")
            _put(written[-1], part.getvalue())
    return {"columns": ["object"], "rows": [[location] for location in written]}


def _as_athena_writes(value: Any) -> Any:
    return value.isoformat(sep=" ", timespec="milliseconds") if isinstance(value, dt.datetime) else value


def _materialize_table_files(location: str, workdirs: list[str]) -> list[str]:
    """The files of the table at `location` that Athena would read: only those in its partitions."""
    files = _ORIGINAL[athena, "_materialize_table_files"](location, workdirs)
    table = next(table for table in glue._tables.values() if table["StorageDescriptor"]["Location"] == location)
    if not table.get("PartitionKeys"):
        return files
    is_read = _projected(table) if table["Parameters"].get("projection.enabled") == "true" else _registered(table)
    return [file for file in files if is_read(Path(file).relative_to(workdirs[-1]).as_posix())]


def _projected(table: dict[str, Any]) -> Any:
    """Predicate: is a file in a folder that the projection of the table's one key, a date, covers?"""
    key, parameters = table["PartitionKeys"][0]["Name"], table["Parameters"]
    first, last = parameters[f"projection.{key}.range"].split(",")
    last = dt.datetime.now(dt.UTC).date().isoformat() if last == "NOW" else last
    template = parameters["storage.location.template"].removeprefix(table["StorageDescriptor"]["Location"])
    pattern = re.compile(re.escape(template).replace(re.escape(f"${{{key}}}"), r"(\d{4}-\d\d-\d\d)"))
    return lambda folder: (match := pattern.match(folder)) is not None and first <= match[1] <= last


def _registered(table: dict[str, Any]) -> Any:
    """Predicate: is a file in a registered partition?"""
    partitions = glue._partitions.get(f"{table['DatabaseName']}/{table['Name']}", [])
    location = table["StorageDescriptor"]["Location"]
    folders = tuple(item["StorageDescriptor"]["Location"].removeprefix(location) for item in partitions)
    return lambda folder: folder.startswith(folders)


def _table_relation(table: dict[str, Any], files: list[str]) -> str:
    """What DuckDB reads for a table. Of JSON the emulator would guess types, and drop columns that are always null."""
    if athena._data_format(table) != "json":
        relation = _ORIGINAL[athena, "_table_relation"](table, files)
        if not _shows_paths.get():
            return relation
        location = table["StorageDescriptor"]["Location"]
        path = f"regexp_replace(local, '.*/ministack-athena-[^/]+/', '{location}')"
        return f"""(SELECT * EXCLUDE (local), {path} AS "$path" FROM {relation[:-1]}, filename = 'local'))"""
    columns = table["StorageDescriptor"]["Columns"]
    types = ", ".join(f"'{column['Name']}': '{athena._duckdb_type(column)}'" for column in columns)
    partitions = "hive_partitioning = true, hive_types_autocast = false"
    return f"read_json({athena._sql_list(files)}, format = 'newline_delimited', columns = {{{types}}}, {partitions})"


async def _save_query_results(query_id: str) -> None:
    """Writes the result as Athena does: every value in quotes, nothing for null, at the reported location."""
    execution = athena._executions[query_id]
    results = execution["_results"]
    if _UNLOAD.fullmatch(execution["Query"]):
        manifest = execution["ResultConfiguration"]["OutputLocation"].removesuffix(".csv") + "-manifest.csv"
        execution["Statistics"]["DataManifestLocation"] = manifest
        _put(manifest, "".join(f"{row[0]}\n" for row in results["rows"]).encode())
        execution |= {"_results": {"columns": [], "rows": []}, "_column_types": []}
        return
    lines = [",".join(_quoted(value) for value in row) for row in [results["columns"], *results["rows"]]]
    _put(execution["ResultConfiguration"]["OutputLocation"], ("\n".join(lines) + "\n").encode())


def _put(location: str, body: bytes) -> None:
    place = urlsplit(location)
    headers = {"content-type": "application/octet-stream", "content-length": str(len(body))}
    if s3._put_object(place.netloc, place.path.lstrip("/"), body, headers)[0] >= 300:
        raise OSError(f"Unable to verify/create output bucket {place.netloc}")


def _quoted(value: Any) -> str:
    return "" if value is None else '"' + athena._datum_text(value).replace('"', '""') + '"'


# Lambda


def _drain_stderr(worker: lambda_runtime.Worker, **_waits: float) -> str:
    """The log of a run. The emulator ends it after 5 ms of silence and assigns later lines to the next run; this waits
    for a tenth of a second.
    """
    waits = {"first_line_wait": 0.5, "idle_confirm": 0.1, "hard_cap": 5.0}
    return _ORIGINAL[lambda_runtime.Worker, "_drain_stderr_bounded"](worker, **waits)


# Callers


def _extract_resource_arn(
    service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
) -> str:
    """The resource that a policy must name, where the emulator uses another.

    https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
    """
    found = _ORIGINAL[iam_actions, "extract_resource_arn"](service, method, path, headers, body, query, region, account)
    operation = headers.get("x-amz-target", path).rpartition("." if "x-amz-target" in headers else "/")[2]
    if service == "athena" and found == "*":
        execution = athena._executions.get(json.loads(body or b"{}").get("QueryExecutionId"))
        return athena._arn_workgroup(execution["WorkGroup"]) if execution else found
    if service == "glue" and operation.endswith("Database"):
        given = json.loads(body)
        name = given.get("Name") or given["DatabaseInput"]["Name"]
        return f"arn:aws:glue:{region}:{account}:database/{name}"
    if service == "glue" and operation in ("GetCrawler", "StartCrawler"):
        return f"arn:aws:glue:{region}:{account}:crawler/{json.loads(body)['Name']}"
    if service == "monitoring" and operation.endswith("Dashboard"):
        name = re.search(rb"tickerlake[\w-]*", body)
        return f"arn:aws:cloudwatch::{account}:dashboard/{name[0].decode() if name else ''}"
    if service == "monitoring" and operation == "DescribeAlarms":
        return f"arn:aws:cloudwatch:{region}:{account}:alarm:*"
    return found


def _request_tag_context(service: str, action: str, body: bytes, params: Any) -> dict[str, Any]:
    """What policies may test of a request, with the namespace of metrics."""
    found = _ORIGINAL[iam_actions, "request_tag_context"](service, action, body, params)
    if action != "cloudwatch:PutMetricData":
        return found
    return {**found, "cloudwatch:namespace": json.loads(body)["Namespace"]}


# IAM


def _simulate_principal_policy(request: dict[str, Any]) -> Any:
    """The simulation, with the request's ContextEntries, such as the service that a role is passed to."""
    context = {}
    for number in itertools.count(1):
        entry = f"ContextEntries.member.{number}"
        if f"{entry}.ContextKeyName" not in request:
            break
        (name,), (value,) = request[f"{entry}.ContextKeyName"], request[f"{entry}.ContextKeyValues.member.1"]
        context[name.lower()] = value
    real = iam_evaluator.EvalContext
    iam_evaluator.EvalContext = functools.partial(real, service_context=context)
    try:
        return _ORIGINAL[iam, "_simulate_principal_policy"](request)
    finally:
        iam_evaluator.EvalContext = real


if __name__ == "__main__":
    from ministack import app

    apply()
    app._port_is_bindable = lambda *_: False  # with TLS it would also try port 443
    app.main()
