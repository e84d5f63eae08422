"""`kith-server init` and `kith-server run`."""

from __future__ import annotations

from pathlib import Path

import click

from kith_server.cli.common import data_dir, data_option, json_option, tell
from kith_server.config import Registration, load_config, parse_listen, write_default_config
from kith_server.server_keys import create_server_key


@click.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to make.")
@click.option("--url", required=True, help="Public address, such as https://anna.example.")
@click.option(
    "--registration",
    type=click.Choice([kind.value for kind in Registration]),
    default=Registration.OPEN.value,
    show_default=True,
    help="Who may start a vault: anybody, holders of a token, or nobody.",
)
@json_option
def init(data: Path, url: str, registration: str, as_json: bool) -> None:
    """Write the settings and the server key of a new server.

    Example: kith-server init --data ./anna-server --url https://anna.example
    """
    config = write_default_config(data, url, Registration(registration))
    create_server_key(data)
    text = (
        f"The settings are in {config}; keep a copy of the key beside them.\nStart with: kith-server run --data {data}"
    )
    tell(as_json, {"config": str(config), "registration": registration}, text)


@click.command()
@data_option
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 picks one. [default: from the settings]")
def run(data: Path | None, listen: str | None) -> None:
    """Serve until SIGTERM.

    Example: kith-server run --data ./anna-server --listen 127.0.0.1:8400
    """
    # Imported here: the other commands start without the web framework.
    from kith_server.app import create_app
    from kith_server.logs import configure_logs
    from kith_server.serving import serve

    directory = data_dir(data)
    config = load_config(directory)
    configure_logs(config.log_level)
    where = parse_listen(listen) if listen else config.listen
    serve(create_app(config, directory), directory, where, lambda url: click.echo(f"listening on {url}", err=True))
