"""Networks in ONNX's format: the same numbers as PyTorch's at several sizes, for every architecture that is a network of its own, and
a fresh process that answers without PyTorch."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from project import weights_command
from test_checkpoint import ARCHITECTURES, EXAMPLES
from torch import nn

from lesson7_lib.core.env import is_full, set_seed
from lesson7_lib.core.experiment import find_experiment
from lesson7_lib.core.learner import load_learner
from lesson7_lib.core.training_state import reset_state

for name in ('onnx', 'onnxscript', 'onnxruntime'):
    pytest.importorskip(name, reason=f"{name} is not installed: pip install 'lesson7_lib[onnx]'")

from lesson7_lib.apps.onnx import state_places, to_onnx  # noqa: E402
from lesson7_lib.apps.onnx_model import OnnxError, OnnxModel  # noqa: E402

PICTURES = (
    'DynamicUnet FastUnet AddUnet RestorationNet today_mnist ConvNet ConvNet2 ConvBnNet ConvBnNet2 Resnet Resnet2 TodayCifar '
    'Embedder SiameseModel'
).split()
ONE_SIZE = 'gan_critic basic_cnn conv_cnn resnet_mnist deep_cnn SimpleNet basic_critic basic_generator'.split()
TEXTS = (
    'Model0 Model1 Model2 Model3 Model4 Model5 CausalTransformer LanguageModel Tagger CharSeqStatefulRnn CharSeqStatefulGRU '
    'CharSeqStatefulLSTM'
).split()
CHARACTERS = 'Char3Model CharLoopModel CharRnn'.split()
TABLES = 'TabularModel TableEnsemble'.split()
NETWORKS = [*PICTURES, *ONE_SIZE, *TEXTS, *CHARACTERS, *TABLES]
# one of each way to export; an export takes seconds, so all of them only where LESSON7_FULL is set
QUICK = ['FastUnet', 'today_mnist', 'conv_cnn', 'CausalTransformer', 'CharSeqStatefulGRU', 'Char3Model', 'TabularModel']


def unlike_new(model):
    "Gives a network weights and running statistics as after a training: a new one has branches that begin at zero and norms that do nothing."
    with torch.no_grad():
        for o in model.parameters():
            if o.is_floating_point():
                o += 0.5 * torch.randn_like(o) / max(1, o[0].numel() if o.ndim > 1 else 4) ** 0.5
        for name, o in model.named_buffers():
            if name.endswith('running_mean'):
                o.copy_(0.2 * torch.randn_like(o))
            elif name.endswith('running_var'):
                o.copy_(0.5 + torch.rand_like(o))


def network(name):
    "A small one, and an example of its inputs."
    set_seed(0)
    make, inputs = EXAMPLES[name]
    model = make(ARCHITECTURES[name])
    args = inputs()
    args = args if isinstance(args, tuple) else (args,)
    unlike_new(model)
    return model.eval(), args


def example(facts, args, i):
    "Inputs of the `i`-th size, where sizes are free."
    made = []
    for o, x in zip(facts['inputs'], args):
        shape = [x.shape[k] + i * (k + 1) if n is None else n for k, n in enumerate(o['shape'])]
        if x.is_floating_point():
            made.append(torch.rand(shape))
        else:
            made.append(x.flatten()[torch.randint(x.numel(), shape)])
    return made


@pytest.mark.parametrize('name', NETWORKS if is_full() else QUICK)
def test_parity(name, tmp_path):
    "Three sizes, other than those that were compared while exporting."
    model, args = network(name)
    _, states = state_places(model, args)
    there = OnnxModel(to_onnx(model, tmp_path, inputs=args), threads=1)
    assert there.n_states == len(states)
    for i in range(3):
        inputs = example(there.facts, args, i)
        zeros = [
            np.zeros([inputs[0].shape[1] if n is None else n for n in o['shape']], np.float32)
            for o in there.facts['inputs']
            if o['name'].startswith('state')
        ]
        reset_state(model)
        for _ in range(2 if states else 1):  # the second time with the state of the first
            with torch.no_grad():
                want = model(*inputs).numpy()
            got, *zeros = there.run(*inputs, *zeros)
            assert got.shape == want.shape
            assert abs(got - want).max() <= 1e-4 * max(1, abs(want).max())
    if name in PICTURES:
        assert (there.facts['size'], there.facts['multiple']) == (None, 1)
    if name == 'CausalTransformer':
        assert there.facts['inputs'][0]['shape'] == [None, None]
    elif states:
        assert there.facts['inputs'][0]['shape'] == [1, None]


def test_every_network_is_here():
    "What takes pictures, texts or rows and is no part of a network; the others are layers, losses and encoders."
    parts = (
        'Lambda torchvision_body GANModule FastBlock SigmoidRange SeqDropout TextEncoder TextClassifier BatchNorm1dFlat ResBlock '
        'MergeLayer SequentialEx TodayBlock PixelShuffle_ICNR SelfAttention UnetBlock NoSkip ResnetBlock LateBlock AddBlock '
        'plain_generator FlattenedLoss MSELossFlat L1LossFlat BCEWithLogitsFlat CrossEntropyFlat Flatten res_block AdaptiveLoss NoopLoss '
        'WassersteinLoss FeatureLoss LPIPSLoss FrequencyLoss PixelLoss NumberClassifier AttentionBlock FeatureMaps FeatureDistance '
        'CriticAugment Unet conv_layer conv2 conv_pool conv_bn batchnorm_2d relu small_encoder model_of_2018 ConvLayer BnLayer ResnetLayer '
        'fast_norm conv_group AdaptiveConcatPool2d CosineLinear PooledGrid create_head cosine_head linear_head NumberPieces MembersLoss '
        'PlainBlock ResidualLevels DamageEstimate RestorationLoss create_body feature_net CharSeqStatefulRnn2'
    ).split()
    assert sorted([*NETWORKS, *parts]) == sorted(EXAMPLES)


ALONE = """
import json, sys
import numpy as np
from lesson7_lib.apps.onnx_model import OnnxModel
model = OnnxModel(sys.argv[1], threads=1)
x = np.load(sys.argv[2])
name, number, probs = model.predict(x)
print(json.dumps([name, number, probs.tolist(), sorted({o.split('.')[0] for o in sys.modules} & {'torch', 'torchvision', 'matplotlib'})]))
"""


def test_without_torch(tmp_path):
    "A new process answers as PyTorch does, and has not imported it."
    model, args = network('today_mnist')
    classes = list('abcdefghij')
    facts = dict(kind='classify', classes=classes, mean=[0.13], std=[0.3], trained_size=[28, 28], resize='squish')
    to_onnx(model, tmp_path / 'digits', inputs=args, **facts)
    pixels = np.random.default_rng(1).integers(0, 256, (28, 28), dtype=np.uint8)
    np.save(tmp_path / 'x.npy', pixels)
    words = [sys.executable, '-c', ALONE, str(tmp_path / 'digits'), str(tmp_path / 'x.npy')]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    name, number, probs, heavy = json.loads(done.stdout)
    assert heavy == []
    x = (torch.from_numpy(pixels)[None, None].float() / 255 - 0.13) / 0.3
    with torch.no_grad():
        want = model(x).softmax(1)[0]
    assert np.allclose(probs, want, atol=1e-5) and number == int(want.argmax()) and name == classes[number]


def test_maps(tmp_path):
    "Layers whose outputs are wanted, too; one that is not there is an error."
    model, args = network('conv_cnn')
    there = OnnxModel(to_onnx(model, tmp_path, inputs=args, maps=('0', '1')), threads=1)
    x = torch.rand(2, 1, 28, 28)
    with torch.no_grad():
        first = model[0](x)
        second = model[1](first)
    got = there.run(x)
    assert np.allclose(got[1], first, atol=1e-5) and np.allclose(got[2], second, atol=1e-5)
    with pytest.raises(OnnxError, match="has no layer 'nothing'"):
        to_onnx(model, tmp_path, inputs=args, maps=['nothing'])


def test_network_is_left_as_it_was(tmp_path):
    "Training mode, weights, hidden state and random numbers."
    model, args = network('CharSeqStatefulGRU')
    model.train()(*args)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    hidden, rng = model.h.clone(), torch.get_rng_state()
    to_onnx(model, tmp_path, inputs=args)
    assert model.training and torch.equal(model.h, hidden) and torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_missing_extra(monkeypatch, tmp_path):
    "Without the packages: their names, and the command that installs them."
    monkeypatch.setattr('lesson7_lib.apps.onnx.find_spec', lambda name: None if name == 'onnxscript' else object())
    with pytest.raises(ImportError, match=r"onnxscript must be installed: pip install 'lesson7_lib\[onnx\]'"):
        to_onnx(nn.Linear(2, 2), tmp_path, inputs=torch.rand(2, 2))
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    to_write = dict(format='lesson7_onnx 1', kind='other', inputs=[], outputs=[])
    (tmp_path / 'model.json').write_text(json.dumps(to_write))
    (tmp_path / 'model.onnx').write_bytes(b'')
    with pytest.raises(ImportError, match='ONNX Runtime, which is not installed'):
        OnnxModel(tmp_path)


def test_cards():
    "Each model in `weights/` is small, opens, names a real experiment and the command that makes it, and has all of its card."
    made = weights_command()
    assert made.stored() == sorted((o.name for o in made.WEIGHTS.iterdir()), key=list(made.MODELS).index)
    for name in made.stored():
        card = made.card_of(name)
        assert card.keys() == {'data', 'licence', 'experiment', 'command', 'score', 'metric', 'seed', 'date'}
        assert all(card.values()) and card['command'] == f'python docs/weights.py {name}'
        assert card['experiment'] == made.MODELS[name].experiment and find_experiment(card['experiment'])
        assert (made.WEIGHTS / name / 'learner.safetensors').stat().st_size <= made.LARGEST
        assert all(torch.isfinite(o).all() for o in load_learner(made.WEIGHTS / name).model.parameters())


def test_command_says_what_it_lacks(capsys):
    assert weights_command().main(['dogs']) == 2
    assert "there is no model 'dogs': expected digits, streets" in capsys.readouterr().err
