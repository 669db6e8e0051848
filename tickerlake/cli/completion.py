"""`tickerlake completion`: completion of commands and options in a shell."""

from __future__ import annotations

import click


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of your shell.

    It completes commands, options and their values with the Tab key. To install it:

    \b
    bash:  echo 'eval "$(tickerlake completion bash)"' >> ~/.bashrc
    zsh:   echo 'eval "$(tickerlake completion zsh)"' >> ~/.zshrc
    fish:  tickerlake completion fish > ~/.config/fish/completions/tickerlake.fish

    Then open a new shell.
    """  # noqa: D301
    from click.shell_completion import get_completion_class  # noqa: PLC0415

    root = ctx.find_root()
    name = root.info_name or "tickerlake"
    script = get_completion_class(shell)
    if script is not None:
        click.echo(script(root.command, {}, name, f"_{name.upper()}_COMPLETE").source())
