"""Prometheus metrics of the channel, its outputs, its audience and the jobs."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.gateway.api.snapshot import engine, engine_rows
from services.gateway.audience.links import WatchRefusal
from services.gateway.channel.health import CHANNEL_WORDS
from services.gateway.jobs.board import JobFigures
from services.gateway.jobs.metrics import families
from services.gateway.service import Gateway
from services.gateway.sessions.metrics import SessionCollector


class ChannelCollector(Collector):
    """Collects metrics from the gateway on demand; must be called in the event loop."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def collect(self) -> Iterable[Metric]:
        yield from self._stages()
        yield from self._engine()
        yield from self._outputs()
        yield from self._audience()
        state = GaugeMetricFamily("studio_channel_state", "1 for the channel's current state", labels=["state"])
        for word in CHANNEL_WORDS:
            state.add_metric([word.lower().replace(" ", "_")], float(self._gateway.health.word == word))
        yield state

    def _stages(self) -> Iterable[Metric]:
        fps = GaugeMetricFamily("studio_stage_fps", "Frames finished a second", labels=["stage"])
        latency = GaugeMetricFamily(
            "studio_stage_latency_milliseconds",
            "Time from the capture of the driver frame to this stage",
            labels=["stage", "quantile"],
        )
        drops = CounterMetricFamily("studio_stage_drops", "Drops by reason", labels=["stage", "reason"])
        up = GaugeMetricFamily("studio_stage_up", "1 while the stage answers", labels=["stage"])
        memory = GaugeMetricFamily("studio_stage_resident_bytes", "Resident memory", labels=["stage"])
        for name, row in self._gateway.health.rows().items():
            fps.add_metric([name], row.fps)
            latency.add_metric([name, "0.5"], row.p50)
            latency.add_metric([name, "0.95"], row.p95)
            up.add_metric([name], float(row.state not in ("recovering", "starting")))
            memory.add_metric([name], row.rss)
            for reason, count in row.drops.items():
                drops.add_metric([name, reason], count)
        yield from (fps, latency, drops, up, memory)

    def _engine(self) -> Iterable[Metric]:
        told = engine(self._gateway)
        delay = GaugeMetricFamily(
            "studio_engine_delay_milliseconds", "Time from the driver's motion to the face that shows it"
        )
        floor = GaugeMetricFamily("studio_engine_delay_floor_milliseconds", "Lower bound of the engine's delay")
        if told.delay:
            delay.add_metric([], told.delay.ms)
            floor.add_metric([], told.delay.floor_ms)
        quality = GaugeMetricFamily("studio_engine_quality", "1 for the engine's current quality", labels=["quality"])
        if told.quality:
            quality.add_metric([told.quality.name], 1.0)
        yield from (delay, floor, quality)

    def _outputs(self) -> Iterable[Metric]:
        audience, feed = self._gateway.audience, self._gateway.feed
        viewers = GaugeMetricFamily("studio_preview_viewers", "Browsers watching, by mode", labels=["mode"])
        for mode, count in audience.watching().items():
            viewers.add_metric([mode], count)
        sent = CounterMetricFamily("studio_preview_bytes", "Bytes sent to browsers", labels=["mode"])
        for mode, count in audience.totals(operator=True).sent.items():
            sent.add_metric([mode], count)
        yield from (viewers, sent)
        yield CounterMetricFamily(
            "studio_preview_dropped",
            "Frames and sounds dropped because browsers were too slow",
            value=audience.totals(operator=True).dropped,
        )
        yield GaugeMetricFamily(
            "studio_program_stall_milliseconds",
            "Longest wait for a frame beyond its tick in the last ten seconds",
            value=feed.stall() / 1000,
        )
        repeated = CounterMetricFamily(
            "studio_program_repeated",
            "Ticks for which the gateway repeated a frame or inserted silence",
            labels=["kind"],
        )
        for kind in ("frame", "sound"):
            repeated.add_metric([kind], feed.repeated[kind])
        yield repeated
        record = self._gateway.recorder.state
        live = GaugeMetricFamily("studio_output_live", "1 while an output is live", labels=["output"])
        failed = GaugeMetricFamily("studio_output_failed", "1 while an output has failed", labels=["output"])
        for name, state in (
            ("record", record),
            ("livekit", self._gateway.livekit.state),
            ("rtmp", self._gateway.rtmp.state),
        ):
            live.add_metric([name], float(state.state == "live"))
            failed.add_metric([name], float(state.state == "failed"))
        yield from (live, failed)
        yield GaugeMetricFamily("studio_recording_bytes", "Size of the recording", value=record.figures.get("bytes", 0))
        yield from self._livekit()

    def _audience(self) -> Iterable[Metric]:
        seats, totals = self._gateway.seats, self._gateway.audience.totals(operator=False)
        yield GaugeMetricFamily("studio_watch_viewers", "Viewers by watch links", value=seats.watching().total())
        yield GaugeMetricFamily("studio_watch_links", "Watch links that are valid", value=len(seats.links.links()))
        sent = CounterMetricFamily("studio_watch_bytes", "Bytes sent to viewers by watch links", labels=["mode"])
        for mode in ("full", "roi", "sound"):
            sent.add_metric([mode], totals.sent[mode])
        yield sent
        yield CounterMetricFamily(
            "studio_watch_dropped", "Frames and sounds dropped because viewers were too slow", value=totals.dropped
        )
        away = CounterMetricFamily(
            "studio_watch_turned_away", "Viewers refused or disconnected, by reason", labels=["reason"]
        )
        for refusal in WatchRefusal:
            away.add_metric([refusal.name.lower()], seats.turned_away[refusal.name.lower()])
        yield away

    def _livekit(self) -> Iterable[Metric]:
        state = self._gateway.livekit.state
        yield GaugeMetricFamily(
            "studio_livekit_live", "1 while published to LiveKit", value=float(state.state == "live")
        )
        for name, figure, meaning in (
            ("studio_livekit_viewers", "viewers", "Participants other than the studio"),
            ("studio_livekit_kilobits", "kbps", "Sent to LiveKit, kbit/s"),
            ("studio_livekit_loss", "loss", "Share of video packets lost on the way to LiveKit"),
            ("studio_livekit_round_trip_milliseconds", "rtt_ms", "Round trip to LiveKit"),
        ):
            yield GaugeMetricFamily(name, meaning, value=state.figures.get(figure, 0.0))


class JobCollector(Collector):
    """Collects metrics from job figures that were read before."""

    def __init__(self, figures: JobFigures) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        yield from families(self._figures)


async def exposition(gateway: Gateway) -> bytes:
    """Return the metrics in Prometheus' text format."""
    names = {row.name for row in engine_rows(gateway)} | {gateway.settings.engine}
    figures = await gateway.job_metrics.figures(sorted(names))
    registry = CollectorRegistry()
    registry.register(ChannelCollector(gateway))
    registry.register(JobCollector(figures))
    if gateway.sessions.allowed:
        registry.register(SessionCollector(gateway.sessions))
    return generate_latest(registry)
