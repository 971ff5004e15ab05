"""The small models in `weights/`: trained by the lessons' experiments on data whose licence allows it, and exported for the live cells.

`python docs/weights.py` trains what the cache does not have and writes all of them; names choose some. `python docs/weights.py --onnx DEST`
writes each of those in `weights/`, and the ready-made restorer `photo`, into a folder DEST/NAME in ONNX's format.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import matplotlib  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

import lesson7_lib.apps.experiments  # noqa: E402, F401  (registers the experiments)
from lesson7_lib.apps.onnx import to_onnx  # noqa: E402
from lesson7_lib.core.experiment import experiment_weights, find_experiment, run_experiment  # noqa: E402
from lesson7_lib.core.learner import Learner, load_learner  # noqa: E402
from lesson7_lib.core.metrics import accuracy  # noqa: E402
from lesson7_lib.human_numbers_rnn import predict_words, share_right  # noqa: E402
from lesson7_lib.text.evaluate import full_pass  # noqa: E402
from lesson7_lib.unet import street_data  # noqa: E402
from lesson7_lib.vision.mask_metrics import evaluate_masks  # noqa: E402
from lesson7_lib.vision.restorers import load_restorer  # noqa: E402

WEIGHTS = ROOT / 'weights'
LARGEST = 2_000_000  # bytes of a file of weights
SEED = 42
COLOURS = (
    (matplotlib.colormaps['turbo'](np.linspace(0, 1, 64))[:, :3] * 255).round().astype(int).tolist()
)  # of heatmaps


def right_answers(learn: Learner) -> float:
    "The share of right answers on the validation set."
    return float(learn.validate(metrics=accuracy)[1])


def right_words(learn: Learner) -> float:
    "The share of right next words in the validation text."
    return share_right(predict_words(learn.model, torch.as_tensor(learn.data.valid_ds.x.ids[0])))


def text_loss(learn: Learner) -> float:
    "The mean loss of a character of the validation text, read in one pass."
    return float(full_pass(learn)[0])


def right_pixels(learn: Learner) -> float:
    "The share of right pixels of the validation masks, at their full size."
    full = street_data(learn.data.path, valid='val', tfms=([], []))
    size = tuple(learn.data.valid_ds[0][0].shape[-2:])
    return float(evaluate_masks(learn.model, full.valid_dl, full.classes, size)['accuracy'])


class Model(NamedTuple):
    "A model of `weights/`."

    experiment: str  # its address
    data: str  # what it learnt from
    licence: str  # of these data
    metric: str  # what the score is
    score: Callable[[Learner], float]
    options: dict[str, Any] = {}  # for `to_onnx`


MODELS = dict(
    digits=Model(
        '01/today-strides',
        'MNIST, http://yann.lecun.com/exdb/mnist/',
        'CC BY-SA 3.0, by Yann LeCun and Corinna Cortes',
        'accuracy',
        right_answers,
        dict(maps=('0', '1', '2'), trained_size=(28, 28)),
    ),
    streets=Model(
        '02/small',
        'streets that the library draws',
        'Apache-2.0, as the library',
        'accuracy of pixels',
        right_pixels,
    ),
    count=Model(
        '05/today',
        'human numbers, the numbers from one to 9999 in words, https://course.fast.ai/datasets',
        'facts, not protected; Apache-2.0 for the collection',
        'accuracy of the next word',
        right_words,
    ),
    nietzsche=Model(
        '07/gru-fixed',
        'works of Friedrich Nietzsche in an English translation, Project Gutenberg',
        'public domain',
        'loss of a character',
        text_loss,
    ),
    cifar10=Model(
        '08/today',
        'CIFAR-10, https://www.cs.toronto.edu/~kriz/cifar.html, a part of 80 million tiny images; trained on JPEG copies',
        'free to use with a citation: Alex Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009',
        'accuracy',
        right_answers,
        dict(trained_size=(32, 32), heatmap=dict(cells=8, wide=2.0, colours=COLOURS)),
    ),
)


def learner_of(name: str) -> Learner:
    "The experiment's learner on its data, with the weights of `weights/`."
    model = MODELS[name]
    experiment = find_experiment(model.experiment)
    stored = load_learner(WEIGHTS / name)
    learn = experiment.model(experiment.data(experiment.url))
    learn.model.load_state_dict(stored.model.state_dict())
    return learn


def make(name: str) -> Path:
    "Train a model, if its weights are not in the cache, and write it with its card."
    model = MODELS[name]
    experiment = find_experiment(model.experiment)
    data = experiment.data(experiment.url)
    learn = experiment.model(data)
    weights = experiment_weights(experiment, experiment.stages[-1].name, SEED)
    if not weights.with_suffix('.safetensors').is_file():
        run_experiment(experiment, SEED, silent=False, save=True)
    learn.load(weights, with_opt=False)
    learn.path = WEIGHTS
    folder = learn.export(name)
    size = (folder / 'learner.safetensors').stat().st_size
    if size > LARGEST:
        raise ValueError(f'{name}: {size:,} bytes, more than {LARGEST:,}')
    card = dict(
        data=model.data,
        licence=model.licence,
        experiment=model.experiment,
        command=f'python docs/weights.py {name}',
        score=round(model.score(learn), 4),
        metric=model.metric,
        seed=SEED,
        date=date.today().isoformat(),
    )
    (folder / 'card.json').write_text(json.dumps(card, indent=1) + '\n', encoding='utf-8')
    print(f'{name}: {model.metric} {card["score"]}, {size:,} bytes', flush=True)
    return folder


def stored() -> list[str]:
    "Names of the models that are in `weights/`."
    return [o for o in MODELS if (WEIGHTS / o / 'card.json').is_file()]


def card_of(name: str) -> dict[str, Any]:
    "The card of a model in `weights/`."
    return json.loads((WEIGHTS / name / 'card.json').read_text(encoding='utf-8'))


def export(names: Iterable[str], dest: Path) -> list[Path]:
    "Write models of `weights/`, and the restorer `photo`, in ONNX's format."
    made = []
    for name in names:
        if name == 'photo':
            made.append(to_onnx(load_restorer('photo', 'cpu'), dest / name, card=photo_card()))
        else:
            learn = load_learner(WEIGHTS / name, device='cpu')
            made.append(to_onnx(learn, dest / name, card=card_of(name), **MODELS[name].options))
    return made


def photo_card() -> dict[str, Any]:
    "The card of the ready-made restorer, from its scores."
    folder = ROOT / 'lesson7_lib' / 'weights' / 'photo'
    scores = json.loads((folder / 'scores.json').read_text(encoding='utf-8'))
    origin, rows = next(iter(scores.items()))
    row = next(o for o in rows if (o['damage'], o['method']) == ('noise 15', 'network'))
    return dict(
        data='photos of the Oxford-IIIT Pet data set, https://www.robots.ox.ac.uk/~vgg/data/pets/',
        licence='CC BY-SA 4.0',
        experiment='restore/photo',
        command='lesson7_experiment restore/photo',
        score=round(row['psnr'], 2),
        metric=f'noise 15 on {origin[0].lower()}{origin[1:]}: PSNR in dB',
        seed=find_experiment('restore/photo').seeds[0],
        date=None,
    )


def main(args: list[str] | None = None) -> int:
    "Write models, or export them."
    parser = argparse.ArgumentParser(prog='docs/weights.py', description=__doc__)
    parser.add_argument('names', nargs='*', help=f'of {", ".join(MODELS)}; for --onnx also photo. None: all')
    parser.add_argument('--onnx', metavar='DEST', type=Path, help='export, into folders of DEST')
    a = parser.parse_args(args)
    known = [*stored(), 'photo'] if a.onnx else list(MODELS)
    unknown = [o for o in a.names if o not in known]
    if unknown:
        print(f'there is no model {unknown[0]!r}: expected {", ".join(known)}', file=sys.stderr)
        return 2
    if a.onnx:
        for folder in export(a.names or known, a.onnx):
            print(f'{folder.name}: {(folder / "model.onnx").stat().st_size:,} bytes', flush=True)
    else:
        for name in a.names or known:
            make(name)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
