"""List the models that come with the package.

Example:
  mmsart models
"""
import argparse

from mmsart.utils import UserError, cli_main, did_you_mean, make_parser


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, 'mmsart models')
    parser.add_argument('name', nargs='?', help='print the card of this model')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    from mmsart.zoo import default_model, find_model, list_models
    from mmsart.zoo.models import SCHEME

    models = list_models()
    if options.name:
        model = find_model(options.name.removeprefix(SCHEME))
        names = [each.name for each in models]
        if model is None:
            raise UserError(f'{options.name}: no such model in the package, expected one of '
                            f'{", ".join(names) or "none: there is none"}'
                            f'{did_you_mean(options.name, names)}')
        print(model.card.read_text().rstrip())
        return 0
    default = default_model().name
    for model in models:
        score = ', '.join(f'{key} {value:.3f}' for key, value in
                          list(model.settings.get('score', {}).items())[:2])
        mark = ' (default)' if model.name == default else ''
        print(f'{model.name}{mark}: {model.settings["title"]}\n'
              f'    classes {", ".join(model.settings["classes"])}; {score}; '
              f'{model.settings["licence"]}; {model.weights.stat().st_size / 1e6:.1f} MB')
    return 0
