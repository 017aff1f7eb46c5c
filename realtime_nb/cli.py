"""The command line: `realtime-nb serve`, `conformance`, `load`, `compare`, `report`, `replay`."""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from realtime_nb import cli_compare, cli_recordings
from realtime_nb.cli_signals import stop_signal
from realtime_nb.cli_values import check_writable, port, positive, seconds
from realtime_nb.errors import ConfigurationError, ConnectionRefused, RealtimeError

if TYPE_CHECKING:
    from realtime_nb.transport.faults import Faults


class Command(msgspec.Struct, frozen=True):
    """One subcommand.

    Attributes:
        name: what users type.
        help: one line.
        options: adds its arguments to a parser.
        run: does it and returns the exit status.
    """

    name: str
    help: str
    options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    0 done, 1 it could not, 2 it was asked wrongly, 130 stopped by Ctrl-C, 141 nobody reads what it prints.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows no “ must not end the work
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("realtime-nb: stopped", file=sys.stderr)
        return 130
    except OSError as problem:
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python complains when it flushes at its end
        if isinstance(problem, BrokenPipeError):
            return 141
        print(f"realtime-nb: {problem}. Check the path, the disk and the permissions.", file=sys.stderr)
        return 1


def _run(arguments: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="realtime-nb", description="A voice AI toolkit for notebooks.")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.name, help=command.help, description=command.help)
        command.options(subparser)
        subparser.set_defaults(run=command.run)
    chosen = parser.parse_args(arguments)
    try:
        status: int = chosen.run(chosen)
    except ConfigurationError as problem:
        print(f"realtime-nb: {problem}", file=sys.stderr)
        return 2
    except RealtimeError as problem:
        print(f"realtime-nb: {problem}", file=sys.stderr)
        return 1
    return status


# --- serve ------------------------------------------------------------------------------------------------------


def _serve_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; other than loopback needs --api-key")
    parser.add_argument("--port", type=port, default=8765, help="0 for any free one (default: %(default)s)")
    parser.add_argument("--engine", default="offline", help="offline, scripted, or an installed one")
    parser.add_argument("--chat", help="base URL of an OpenAI-compatible chat server, with #model after it")
    parser.add_argument("--chat-api-key", help="the key for that chat server")
    parser.add_argument("--max-sessions", type=positive, metavar="N", help="refuse further sessions (default: any)")
    parser.add_argument(
        "--tokens-per-minute", type=positive, metavar="N", help="of all sessions together; responses beyond it fail"
    )
    parser.add_argument(
        "--drain-seconds",
        type=seconds,
        default=10.0,
        metavar="S",
        help="what responses in progress get at SIGTERM; a second signal ends it (default: %(default)g)",
    )
    parser.add_argument("--api-key", help="the key that clients must give (on loopback any key is accepted without)")
    parser.add_argument(
        "--faults",
        type=_faults,
        metavar="JSON",
        help='what goes wrong on every connection, for example \'{"delay_ms": 80, "cut_mid_delta": 5}\'',
    )


def _faults(text: str) -> Faults:
    from realtime_nb.transport.faults import Faults

    try:
        return msgspec.json.decode(text, type=Faults)
    except (msgspec.DecodeError, ConfigurationError) as problem:
        raise argparse.ArgumentTypeError(str(problem)) from problem


def _serve(options: argparse.Namespace) -> int:
    from realtime_nb.server.admission import is_loopback

    if options.api_key is None and not is_loopback(options.host):
        raise ConfigurationError(
            f"Serving on {options.host} without a key would let the whole network in.",
            what_now="Add --api-key, or listen on 127.0.0.1.",
        )
    return asyncio.run(_serve_until_signal(options))


async def _serve_until_signal(options: argparse.Namespace) -> int:
    from realtime_nb.engines.registry import create
    from realtime_nb.server.app import EmbeddedServer
    from realtime_nb.server.limits import Limits

    stop = stop_signal()
    engines = create(options.engine, chat=options.chat, chat_api_key=options.chat_api_key)
    limits = Limits(sessions=options.max_sessions)
    if options.tokens_per_minute is not None:
        limits = msgspec.structs.replace(limits, tokens_per_minute=options.tokens_per_minute)
    starting = asyncio.create_task(
        EmbeddedServer.start(
            engines,
            options.host,
            options.port,
            api_key=options.api_key,
            allow_any_key=options.api_key is None,
            limits=limits,
            faults=options.faults,
        )
    )
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.wait([starting])
        return 0
    server = await starting
    try:
        print(f"listening on {server.url}", flush=True)
        await stopping
        stop.clear()
        await _first_of(server.drain(options.drain_seconds), stop.wait())
    finally:
        await server.aclose()
    return 0


async def _first_of(*works: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.create_task(work) for work in works]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


# --- conformance ------------------------------------------------------------------------------------------------


def _conformance_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", help="base URL of the server: http(s)://…/v1 or ws(s)://…")
    parser.add_argument("--key", help="the API key for it (default: OPENAI_API_KEY, to its own service only)")
    parser.add_argument("--model", help="the model to ask for")
    parser.add_argument("--json", metavar="FILE", help="write everything that was found to this file")
    parser.add_argument("--profile", choices=("core", "full"), default="full", help="default: %(default)s")
    parser.add_argument("--clip", metavar="AUDIO", help="one spoken sentence to use instead of the bundled one")
    parser.add_argument("--only", metavar="SCENARIO", action="append", help="play this scenario; may be repeated")
    parser.add_argument(
        "--patience", metavar="S", type=seconds, default=10.0, help="seconds an event may take (%(default)g)"
    )
    parser.add_argument("--failures", action="store_true", help="leave the passing rows out")


def _conformance(options: argparse.Namespace) -> int:
    from realtime_nb.testing.conformance import command
    from realtime_nb.testing.conformance.results import Verdict

    check_writable(options.json)
    report = command.run(
        options.url,
        api_key=options.key,
        model=options.model,
        profile=options.profile,
        clip=options.clip,
        patience_s=options.patience,
        only=options.only,
        json_path=options.json,
    )
    if not report.connections and not report.count(Verdict.PASS):
        raise ConnectionRefused(f"Nothing could be judged: {report.findings[0].why}")
    print("\n".join(report.lines(passes=not options.failures)))
    return 0 if report.passed else 1


# --- load -------------------------------------------------------------------------------------------------------


def _load_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", help="base URL of the server: http(s)://…/v1 or ws(s)://…")
    parser.add_argument("--sessions", type=positive, default=10, help="users that talk at once (default: %(default)s)")
    parser.add_argument("--seconds", type=seconds, default=20.0, help="how long they talk (default: %(default)g)")
    parser.add_argument("--key", help="the API key for the server (default: OPENAI_API_KEY, to its own service only)")
    parser.add_argument("--model", help="the model to ask for")
    parser.add_argument("--json", metavar="FILE", help="write the figures to this file")
    parser.add_argument("--clip", metavar="AUDIO", help="one spoken sentence to use instead of the bundled one")
    parser.add_argument("--frame-ms", type=int, default=40, help="audio in one message (default: %(default)s)")
    parser.add_argument("--allow-remote", action="store_true", help="the server is elsewhere, and mine to load")


def _load(options: argparse.Namespace) -> int:
    from realtime_nb.testing.load import command

    check_writable(options.json)
    report = command.run(
        options.url,
        api_key=options.key,
        model=options.model,
        sessions=options.sessions,
        seconds=options.seconds,
        clip=options.clip,
        frame_ms=options.frame_ms,
        allow_remote=options.allow_remote,
        json_path=options.json,
    )
    print("\n".join(report.lines()))
    if not report.connected:
        print(f"Nobody could connect to {report.url}: check that it runs, its address and the key.", file=sys.stderr)
    return 0 if report.clean else 1


COMMANDS = (
    Command("serve", "Serve the OpenAI Realtime protocol with local engines.", _serve_options, _serve),
    Command("conformance", "Judge how faithful a Realtime server is.", _conformance_options, _conformance),
    Command("load", "Let many users talk to a server at once, and measure.", _load_options, _load),
    Command("compare", "Measure several voice architectures on the same clips.", cli_compare.options, cli_compare.run),
    Command("report", "Make one page of a recording.", cli_recordings.report_options, cli_recordings.report),
    Command("replay", "Serve a recording to any client.", cli_recordings.replay_options, cli_recordings.replay),
)


if __name__ == "__main__":
    sys.exit(main())
