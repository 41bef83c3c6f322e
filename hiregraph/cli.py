"""The command line: with --json one document on stdout; progress and logs on stderr; exit 0, 1 (ours), 2 (yours)."""

from __future__ import annotations

import sys
import traceback

import typer

from hiregraph import (
    data_commands,
    feedback_command,
    flows_command,
    graph_commands,
    levels_command,
    market_commands,
    off_policy_command,
    recommend_command,
    replay_command,
    serving_commands,
    sweep_command,
    text_fit_commands,
)
from hiregraph.activity_command import activity_app
from hiregraph.feed_commands import jobs_app
from hiregraph.forecast_commands import forecast_app
from hiregraph.ledger_commands import ledger_app
from hiregraph.log_commands import logs_app
from hiregraph.organic_commands import organic_app
from hiregraph.plan_commands import plan_app
from hiregraph.privacy_commands import seekers_app
from hiregraph.rules_command import rules_app
from hiregraph.text_commands import text_app
from market.errors import UserError

app = typer.Typer(
    name="hiregraph",
    help="An open engine for job marketplaces: who gets hired where, and which promoted job to show to whom.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
keys_app = typer.Typer(help="API keys.", no_args_is_help=True)
db_app = typer.Typer(help="The database of campaigns and jobs.", no_args_is_help=True)
keys_app.command("create")(serving_commands.keys_create)
keys_app.command("list")(serving_commands.keys_list)
keys_app.command("revoke")(serving_commands.keys_revoke)
audit_app = typer.Typer(help="The log of what people changed.", no_args_is_help=True)
audit_app.command("verify")(serving_commands.audit_verify)
db_app.command("upgrade")(serving_commands.db_upgrade)
app.command("demo")(market_commands.demo)
simulate_app = typer.Typer(callback=market_commands.simulate, invoke_without_command=True)
simulate_app.command("replay")(replay_command.replay)
simulate_app.command("off-policy")(off_policy_command.off_policy)
simulate_app.command("feedback")(feedback_command.feedback)
simulate_app.command("sweep")(sweep_command.sweep)
simulate_app.command("levels")(levels_command.levels)
simulate_app.command("flows")(flows_command.flows)
app.add_typer(simulate_app, name="simulate")
app.command("serve")(serving_commands.serve)
app.command("settings")(serving_commands.settings)
app.command("bench")(market_commands.bench)
app.add_typer(data_commands.app, name="data")
app.add_typer(graph_commands.app, name="graph")
text_app.command("fit")(text_fit_commands.fit)
text_app.command("distill")(text_fit_commands.distill)
app.add_typer(text_app, name="text")
organic_app.command("recommend")(recommend_command.recommend)
organic_app.add_typer(activity_app, name="activity")
organic_app.add_typer(rules_app, name="rules")
app.add_typer(organic_app, name="organic")
app.add_typer(keys_app, name="keys")
app.add_typer(audit_app, name="audit")
app.add_typer(db_app, name="db")
app.add_typer(jobs_app, name="jobs")
app.add_typer(forecast_app, name="forecast")
app.add_typer(ledger_app, name="ledger")
app.add_typer(plan_app, name="plan")
app.add_typer(logs_app, name="logs")
app.add_typer(seekers_app, name="seekers")


def main() -> None:
    """Run a command; a user's mistake is one line and exit 2, a mistake of ours a traceback and exit 1."""
    try:
        app()  # a wrong option or argument ends here, with usage and exit 2
    except UserError as problem:
        print(f"hiregraph: {problem}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("hiregraph: stopped", file=sys.stderr)
        sys.exit(130)
    except Exception:
        traceback.print_exc()
        print("hiregraph: this is a fault of ours; please report the lines above", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
