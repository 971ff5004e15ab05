"The oldest versions that settings.ini allows, as words for pip: `pip install . $(python tests/oldest.py)`."

from configparser import ConfigParser
from pathlib import Path


def oldest() -> list[str]:
    "The requirements, each with its lowest version."
    cfg = ConfigParser(delimiters=['='])
    cfg.read(Path(__file__).resolve().parent.parent / 'settings.ini', encoding='utf-8')
    return [o.split(',')[0].replace('>=', '==') for o in cfg['DEFAULT']['requirements'].split()]


if __name__ == '__main__':
    print(*oldest())
