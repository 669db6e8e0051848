"""The stack: the components, and how they are connected."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.access import Place
from infra.alerter import Alerter, AlerterArgs
from infra.analytics import Analytics, AnalyticsArgs
from infra.catalog import Catalog, CatalogArgs
from infra.collector import Collector, CollectorArgs
from infra.compactor import Compactor, CompactorArgs
from infra.config import Settings
from infra.delivery import Delivery, DeliveryArgs
from infra.forecaster import Forecaster, ForecasterArgs
from infra.lake import Lake, LakeArgs
from infra.monitoring import Monitoring, MonitoringArgs
from infra.packaging import Package


class Stack(pulumi.ComponentResource):
    """The whole pipeline in one account. `outputs` is what the dashboard and the command line need."""

    outputs: dict[str, pulumi.Input[Any]]

    def __init__(self, settings: Settings, package: Package, today: dt.date) -> None:
        name = settings.name
        provider = aws.Provider(
            f"{name}-aws",
            region=settings.region,
            allowed_account_ids=[settings.account_id] if settings.account_id else None,
            default_tags=aws.ProviderDefaultTagsArgs(tags=settings.tags),
        )
        super().__init__("tickerlake:stack:Stack", name, None, pulumi.ResourceOptions(providers=[provider]))
        inside = pulumi.ResourceOptions(parent=self)
        place = Place.of(provider, settings.region)
        exchanges = list(settings.shards)

        lake = Lake(
            f"{name}-lake",
            LakeArgs(
                bucket_name=settings.bucket_name,
                old_version_days=settings.old_version_days,
                result_days=settings.result_days,
                protect=settings.on_destroy == "refuse",
                keep=settings.on_destroy != "delete",
            ),
            inside,
        )
        catalog = Catalog(
            f"{name}-catalog",
            CatalogArgs(
                place=place,
                bucket=lake.bucket,
                database_name=name.replace("-", "_"),
                crawler_name=f"{name}-crawler",
                first_session=settings.first_session,
                exchanges=exchanges,
                crawl=settings.crawl,
            ),
            inside,
        )
        delivery = Delivery(
            f"{name}-delivery",
            DeliveryArgs(
                place=place,
                bucket=lake.bucket,
                table=catalog.table,
                table_arns=catalog.bars_arns,
                stream_name=f"{name}-bars",
                buffer_seconds=settings.buffer_seconds,
                log_retention_days=settings.log_retention_days,
            ),
            inside,
        )
        analytics = Analytics(
            f"{name}-analytics",
            AnalyticsArgs(
                place=place,
                bucket=lake.bucket,
                results=lake.results,
                database=catalog.database,
                table_arns=catalog.read_arns,
                workgroup_name=name,
                stream_arn=delivery.stream.arn,
                crawler_arn=catalog.crawler.arn,
                scan_limit_mb=settings.scan_limit_mb,
                exchanges=exchanges,
                today=today,
            ),
            inside,
        )
        collector = Collector(
            f"{name}-collector",
            CollectorArgs(
                place=place,
                bucket=lake.bucket,
                stream=delivery.stream,
                sending=delivery.sending,
                outside=settings.collect == "outside",
                database=catalog.database,
                workgroup_name=analytics.workgroup.name,
                querying=analytics.querying,
                source=settings.source,
                source_key=settings.source_key,
                package=package,
                function_name=f"{name}-collector",
                shards=settings.shards,
                reserve_concurrency=settings.reserve_concurrency,
                bar_minutes=settings.bar_minutes,
                look_back_minutes=settings.look_back_minutes,
                log_retention_days=settings.log_retention_days,
            ),
            inside,
        )

        def querying(what: str) -> dict[str, Any]:
            """The arguments that every function which queries the lake has."""
            return {
                "place": place,
                "bucket": lake.bucket,
                "database": catalog.database,
                "workgroup_name": analytics.workgroup.name,
                "querying": analytics.querying,
                "code": collector.code,
                "failures": collector.queue,
                "function_name": f"{name}-{what}",
                "log_retention_days": settings.log_retention_days,
            }

        compactor = Compactor(
            f"{name}-compactor",
            CompactorArgs(results=lake.results, **querying("compactor")),
            inside,
        )
        forecaster = None
        if settings.forecast:
            forecaster = Forecaster(
                f"{name}-forecaster",
                ForecasterArgs(
                    exchanges=exchanges,
                    **querying("forecaster"),
                ),
                inside,
            )
        alerter = None
        if settings.alerts:
            alerter = Alerter(
                f"{name}-alerter",
                AlerterArgs(
                    exchanges=exchanges,
                    rules=settings.rules,
                    email=settings.alert_email,
                    buffer_seconds=settings.buffer_seconds,
                    **querying("alerter"),
                ),
                inside,
            )
        monitoring = Monitoring(
            f"{name}-monitoring",
            MonitoringArgs(
                place=place,
                stack_name=name,
                source=settings.source,
                exchanges=exchanges,
                function_name=collector.function.name if collector.function else None,
                compactor_name=compactor.function.name,
                forecaster_name=forecaster.function.name if forecaster else None,
                alerter_name=alerter.function.name if alerter else None,
                alert_topic_name=alerter.topic.name if alerter else None,
                queue_name=collector.queue.name,
                stream_name=delivery.stream.name,
                crawler_name=catalog.crawler.name,
                workgroup_name=analytics.workgroup.name,
                alarm_email=settings.alarm_email,
                monthly_budget_usd=settings.monthly_budget_usd,
            ),
            inside,
        )
        # Pulumi deletes what nothing depends on first. The bucket comes last, so its own protection alone would leave
        # a stack that is destroyed but for the bucket. This comes first, and stops the rest.
        pulumi.Stash(
            f"{name}-guard",
            input=f"onDestroy: {settings.on_destroy}",
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=settings.on_destroy == "refuse",
                depends_on=[
                    *(lake, catalog, delivery, collector, analytics, compactor, monitoring),
                    *(each for each in (forecaster, alerter) if each),
                ],
            ),
        )
        self.outputs = {
            "region": settings.region,
            "database": catalog.database.name,
            "table": catalog.table.name,
            "firstSession": str(settings.first_session),
            "workgroup": analytics.workgroup.name,
            "bucket": lake.bucket.bucket,
            "results": lake.results.bucket,
            "stream": delivery.stream.name,
            "compactor": compactor.function.name,
            "failures": collector.queue.url,
            "crawler": catalog.crawler.name,
            "senderPolicy": delivery.sender.arn,
            "readerPolicy": analytics.reader.arn,
            "alarmTopic": monitoring.topic.arn,
            "dashboardUrl": monitoring.dashboard_url,
        }
        if collector.function:
            self.outputs["function"] = collector.function.name
        if forecaster:
            self.outputs["forecaster"] = forecaster.function.name
        if alerter:
            self.outputs |= {"alerter": alerter.function.name, "alertTopic": alerter.topic.arn}
        self.register_outputs(self.outputs)

    def readme(self) -> pulumi.Output[str]:
        """The page of the stack: https://www.pulumi.com/docs/pulumi-cloud/projects-and-stacks/#stack-readme."""
        return pulumi.Output.all(**self.outputs).apply(_readme)


def _readme(outputs: Mapping[str, str]) -> str:
    collecting = _WITH_FUNCTION if "function" in outputs else _OUTSIDE
    alerts = _ALERTS.format(**outputs) if "alertTopic" in outputs else ""
    return _README.format(**outputs, collecting=collecting.format(**outputs), alerts=alerts)


_README = """\
# Tickerlake

Bars of a watchlist flow through `{stream}` into `s3://{bucket}/bars/`, where the workgroup `{workgroup}`
queries the table `{database}.{table}`.

| to | do |
|---|---|
{collecting}\
| monitor the pipeline | open [the dashboard]({dashboardUrl}) |
| get alarms | subscribe to `{alarmTopic}` |
{alerts}\
| query | choose workgroup `{workgroup}` in Athena and open a saved query |
| compact the lake now | `aws lambda invoke --region {region} --function-name {compactor} report.json` |
| read failed events | receive messages from `{failures}` |
| give read access | attach `{readerPolicy}` |
| open the local dashboard on this stack | `make dashboard-aws` |
"""
_ALERTS = """\
| get alerts | subscribe to `{alertTopic}`: `aws sns subscribe`, or `alertEmail` |
"""
_INVOKE = "aws lambda invoke --region {region} --function-name {function} --cli-binary-format raw-in-base64-out"
_WITH_FUNCTION = f"""\
| see whether the vendor answers `{{function}}` | wait five minutes, then look at the alarm `vendor-refuses` |
| collect on a machine of yours if it does not | `pulumi config set collect outside`, then follow `docs/outside.md` |
| collect a session again | `{_INVOKE} --payload '{{{{"session": "last"}}}}' report.json` |
"""
_OUTSIDE = """\
| allow a machine to collect | attach `{senderPolicy}` to its AWS user; `docs/outside.md` has every step |
| collect on it | `tickerlake watch --sink firehose --stream {stream} --bucket {bucket}` |
| see whether it does | look at the alarms `heartbeat` and `vendor-refuses` |
"""
