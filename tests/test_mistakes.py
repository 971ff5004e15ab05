"""Mistakes that beginners make, each as they type it, on tiny data: what is said must name what was given, what was
expected, and what to do.

`python tests/test_mistakes.py` prints a table of all of them with their messages.
"""

import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use('agg')
import numpy as np
import pytest
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

from lesson7_lib.core.callback import Accumulate, GradientClipping
from lesson7_lib.core.databunch import DataBunch
from lesson7_lib.core.hooks import Flatten
from lesson7_lib.core.items import ItemList, TensorList
from lesson7_lib.core.learner import Learner
from lesson7_lib.core.metrics import CrossEntropyFlat, accuracy
from lesson7_lib.vision.image_data import ImageList

N, SIDE = 32, 8


@dataclass
class Mistake:
    "What somebody types, and what the message must hold: what was given, what was expected, what to do."

    run: Callable
    given: str
    expected: str
    advice: str
    warns: bool = False  # only a warning: the call goes on

    @property
    def name(self) -> str:
        return self.run.__name__


MISTAKES: list[Mistake] = []


def mistake(given: str, expected: str, advice: str, warns: bool = False) -> Callable:
    "Decorator: enter a mistake."

    def enter(f):
        MISTAKES.append(Mistake(f, given, expected, advice, warns))
        return f

    return enter


# the data and models of all of them: pictures (1, 8, 8) of three classes
def pictures(channels: int = 1, n: int = N) -> torch.Tensor:
    return torch.rand(n, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def classes(n: int = N) -> torch.Tensor:
    return torch.arange(n) % 3


def bunch(x=None, y=None, valid: bool = True, **kwargs) -> DataBunch:
    x = pictures() if x is None else x
    y = classes() if y is None else y
    return DataBunch.from_tensors(x, y, *((x, y) if valid else ()), **{'bs': 8, **kwargs})


def loaders(x, y, bs: int = 8) -> DataBunch:
    "As people do who have a data set of their own."
    ds = TensorDataset(x, y)
    return DataBunch(DataLoader(ds, bs), DataLoader(ds, bs))


def conv(channels: int = 1, outputs: int = 3) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), Flatten(), nn.Linear(4, outputs)
    )


def linear(outputs: int = 3) -> nn.Module:
    return nn.Sequential(Flatten(), nn.Linear(SIDE * SIDE, outputs))


def learner(data=None, model=None, **kwargs) -> Learner:
    return Learner(bunch() if data is None else data, linear() if model is None else model, silent=True, **kwargs)


# --- Learner(...)
@mistake('Model', 'instance', r'Model\(\)')
def class_in_place_of_model():
    class Model(nn.Module):
        pass

    learner(model=Model)


@mistake('Sequential', 'data', r'Learner\(data, model')
def data_and_model_swapped():
    Learner(linear(), bunch())


@mistake('function', 'nn.Module', 'instance')
def function_in_place_of_model():
    learner(model=lambda x: x)


@mistake('Sequential', 'list', r'nn.Sequential\(\*')
def list_of_layers_in_place_of_model():
    learner(model=[Flatten(), nn.Sequential(nn.Linear(64, 3))])


@mistake('DataLoader', 'DataBunch', r'DataBunch\(')
def loader_in_place_of_data():
    Learner(DataLoader(TensorDataset(pictures(), classes())), linear())


@mistake('LabelLists', 'DataBunch', r'\.databunch\(\)')
def lists_in_place_of_data():
    Learner(TensorList(pictures()).no_split().label_from_lists([*classes().tolist()], []), linear())


@mistake('tuple', 'DataBunch', r'from_tensors')
def tensors_in_place_of_data():
    Learner((pictures(), classes()), linear())


@mistake('DataBunch', 'instance', r'DataBunch.from_tensors|create')
def class_in_place_of_data():
    Learner(DataBunch, linear())


@mistake("'accuracy'", 'function', 'metrics=accuracy')
def metric_as_text():
    learner(metrics='accuracy')


@mistake("'accuracy'", 'function', 'metrics=accuracy')
def metric_as_text_in_list():
    learner(metrics=[accuracy, 'accuracy'])


@mistake('0.5|Tensor', 'function', r'without|not called')
def metric_called():
    learner(metrics=[accuracy(torch.eye(2), torch.tensor([0, 0]))])


@mistake('CrossEntropyLoss', 'instance', r'CrossEntropyLoss\(\)')
def class_in_place_of_loss():
    learner(loss_func=nn.CrossEntropyLoss)


@mistake("'cross_entropy'", 'function', r'nn.CrossEntropyLoss\(\)')
def loss_as_text():
    learner(loss_func='cross_entropy')


@mistake("'adam'", 'function', r'optim.Adam|AdamW')
def optimiser_as_text():
    learner(opt_func='adam')


@mistake('Adam', 'function|class', r'opt_func=')
def optimiser_instance():
    model = linear()
    learner(model=model, opt_func=optim.Adam(model.parameters()))


@mistake('GradientClipping', 'instance|callback', 'callback_fns=')
def callback_class_in_callbacks():
    learner(callbacks=[GradientClipping])


@mistake('GradientClipping', 'function', 'callbacks=')
def callback_instance_in_callback_fns():
    learner(callback_fns=[GradientClipping(clip=1.0)])


@mistake(r'Accumulate\(2\)', 'first argument is the learner', 'n=2')
def callback_setting_without_name():
    learner(callbacks=Accumulate(2))


@mistake('GradientClipping', 'callback|instance', r'GradientClipping\(')
def callback_class_in_fit():
    learner().fit(1, callbacks=[GradientClipping])


# --- fit(...)
@mistake('2.5', 'whole number', 'whole number from 1')
def half_an_epoch():
    learner().fit_one_cycle(2.5)


@mistake("'3'", 'whole number', 'whole number from 1')
def epochs_as_text():
    learner().fit('3')


@mistake('0', 'whole number', 'from 1')
def no_epochs():
    learner().fit(0)


@mistake("'1e-3'", 'number above zero', 'must be')
def lr_as_text():
    learner().fit_one_cycle(1, '1e-3')


@mistake('-0.1', 'number above zero', 'must be')
def lr_below_zero():
    learner().fit(1, -0.1)


@mistake('0', 'number above zero', 'must be')
def lr_zero():
    learner().fit_one_cycle(1, 0)


@mistake('2 learning rates', '1 layer group', 'give one number')
def too_many_rates():
    learner().fit(1, [1e-3, 1e-2])


@mistake("'0.1'", 'number', '0 or more')
def wd_as_text():
    learner(wd='0.1').fit(1)


@mistake('True', 'name', 'such as')
def resume_true():
    learner().fit(1, resume=True)


# --- the first batch: inputs
@mistake('has 1 channel', 'expects 3 channels', r'Conv2d\(1|expand')
def grey_pictures_for_colours():
    learner(model=conv(3)).fit(1)


@mistake(r'3 channels', 'Conv2d.*1', r'Conv2d\(3')
def colours_for_grey():
    learner(bunch(pictures(3)), conv(1)).fit(1)


@mistake(r'\(8, 8, 8, 3\)', '3 channels', 'permute')
def channels_last():
    learner(bunch(pictures(3).permute(0, 2, 3, 1)), conv(3)).fit(1)


@mistake(r'\(8, 8, 8\)', 'channel', r'\[:, None\]')
def no_channels():
    learner(bunch(pictures()[:, 0]), conv(1)).fit(1)


@mistake('8', '64', 'Flatten')
def forgot_to_flatten():
    learner(model=nn.Linear(64, 3)).fit(1)


@mistake('64', '100', r'Linear\(64')
def wrong_size_of_linear():
    learner(model=nn.Sequential(Flatten(), nn.Linear(100, 3))).fit(1)


@mistake('uint8|bytes', 'float32', r'\.float\(\)')
def bytes_for_floats():
    learner(bunch((pictures() * 255).byte()), conv()).fit(1)


@mistake('float64', 'float32', r'\.float\(\)')
def doubles_from_numpy():
    learner(bunch(np.random.RandomState(0).rand(N, 5), classes()), nn.Linear(5, 3)).fit(1)


@mistake('float32', 'whole numbers', r'\.long\(\)')
def floats_for_embedding():
    learner(bunch(torch.rand(N, 5)), nn.Sequential(nn.Embedding(5, 4), Flatten(), nn.Linear(20, 3))).fit(1)


@mistake('7', '0 to 4', r'Embedding\(8')
def number_beyond_embedding():
    x = torch.arange(N)[:, None] % 2 + 6  # 6 and 7
    learner(bunch(x), nn.Sequential(nn.Embedding(5, 4), Flatten(), nn.Linear(4, 3))).fit(1)


@mistake('5 channels|5', '4', r'BatchNorm1d\(5')
def wrong_batchnorm():
    learner(bunch(torch.rand(N, 5)), nn.Sequential(nn.BatchNorm1d(4), nn.Linear(5, 3))).fit(1)


@mistake('1 item|one item', 'BatchNorm', 'bs=')
def batchnorm_of_one():
    learner(bunch(torch.rand(N, 5), bs=1), nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 3))).fit(1)


@mistake('5', '6', r'GRU\(5')
def wrong_size_of_rnn():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(6, 4, batch_first=True)
            self.out = nn.Linear(4, 3)

        def forward(self, x):
            return self.out(self.rnn(x)[0][:, -1])

    learner(bunch(torch.rand(N, 7, 5)), Model()).fit(1)


@mistake('nan', 'inputs', 'finite')
def nan_in_inputs():
    x = pictures()
    x[::2, 0, 0, 0] = math.nan
    learner(bunch(x)).fit(1)


@mistake('inf|nan', 'inputs', 'finite')
def infinity_in_inputs():
    x = pictures()
    x[::2, 0, 0, 0] = math.inf
    learner(bunch(x)).fit(1)


@mistake('nan', 'inputs', 'finite')
def nan_in_inputs_of_lr_find():
    x = pictures()
    x[::2, 0, 0, 0] = math.nan
    learner(bunch(x)).lr_find(num_it=20)


@mistake('nan', 'weights', 'load|anew')
def nan_in_weights():
    model = linear()
    nn.init.constant_(model[1].weight, math.nan)
    learner(model=model).fit(1)


@mistake('2', '1|one', 'forward')
def model_takes_other_inputs():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = linear()

        def forward(self, x, lengths):
            return self.out(x)

    learner(model=Model()).fit(1)


# --- the first batch: outputs and labels
@mistake('2 outputs', '3 classes', r'data\.c')
def too_few_outputs():
    learner(model=linear(2)).fit(1)


@mistake('10 outputs', '3 classes', r'data\.c', warns=True)
def too_many_outputs():
    learner(model=linear(10)).fit(1)


@mistake('1 output', '3 classes', r'data\.c')
def one_output_for_classes():
    learner(model=linear(1)).fit(1)


@mistake('3', '0 to 2', 'from 0')
def labels_from_one():
    learner(loaders(pictures(), classes() + 1), linear(3), loss_func=nn.CrossEntropyLoss()).fit(1)


@mistake('-1', '0 to 2', 'from 0|ignore_index')
def label_minus_one():
    learner(loaders(pictures(), classes() - 1), linear(3), loss_func=nn.CrossEntropyLoss()).fit(1)


@mistake('float', 'whole numbers', r'\.long\(\)')
def float_labels_with_class_loss():
    learner(bunch(y=(classes() > 0).float()), linear(2), loss_func=nn.CrossEntropyLoss()).fit(1)


@mistake('float', 'whole numbers', r'\.long\(\)')
def float_labels_with_flat_class_loss():
    learner(bunch(y=(classes() > 0).float()), linear(2), loss_func=CrossEntropyFlat()).fit(1)


@mistake('int32', 'int64', r'\.long\(\)')
def short_labels():
    data = loaders(pictures(), classes().int())
    learner(data, loss_func=nn.CrossEntropyLoss()).fit(1)


@mistake('int64', 'float', r'\.float\(\)')
def whole_labels_with_bce():
    learner(loaders(pictures(), (classes() > 0).long()[:, None]), linear(1), loss_func=nn.BCEWithLogitsLoss()).fit(1)


@mistake(r'\(8, 1\)', r'\(8,\)', r'\[:, None\]|MSELossFlat')
def column_against_row():
    learner(bunch(y=torch.rand(N)), linear(1), loss_func=nn.MSELoss()).fit(1)


@mistake(r'\(8, 1\)', r'\(8,\)', r'\[:, None\]|BCEWithLogitsFlat')
def column_against_row_with_bce():
    learner(bunch(y=(classes() > 0).float()), linear(1), loss_func=nn.BCEWithLogitsLoss()).fit(1)


@mistake(r'\(8, 2\)', r'\(8,\)', r'data\.c|outputs')
def two_outputs_for_numbers():
    learner(bunch(y=torch.rand(N)), linear(2)).fit(1)


@mistake(r'\(8, 3\)', r'\(8, 1\)', r'squeeze|\[:, 0\]')
def labels_in_a_column():
    learner(loaders(pictures(), classes()[:, None]), linear(3), loss_func=nn.CrossEntropyLoss()).fit(1)


@mistake('float32', 'class numbers', 'mean_absolute_error', warns=True)
def accuracy_of_numbers():
    learner(bunch(y=torch.rand(N)), linear(1), metrics=accuracy).fit(1)


@mistake('0.0 or 1.0.*MSELoss. If', 'whole numbers', r'y\.long\(\)', warns=True)
def zeros_and_ones_as_floats():
    learner(bunch(y=(classes() > 0).float()), linear(1)).fit(1)


@mistake('float32, such as [01]', 'mse', r'y\.long\(\)', warns=True)
def accuracy_of_zeros_and_ones():
    learner(bunch(y=(classes() > 0).float()), linear(1), metrics=accuracy).fit(1)


@mistake(r'\(8,\)|8 losses|shape', 'one number', "mean|reduction")
def loss_of_each_item():
    learner(loss_func=nn.CrossEntropyLoss(reduction='none')).fit(1)


@mistake('float', 'tensor', r'item\(\)|detach')
def loss_as_python_number():
    learner(loss_func=lambda p, y: nn.functional.cross_entropy(p, y).item()).fit(1)


@mistake('None', 'tensor', 'return')
def loss_without_return():
    learner(loss_func=lambda p, y: None).fit(1)


@mistake('None', 'forward', 'return')
def model_without_return():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = linear()

        def forward(self, x):
            self.out(x)

    learner(model=Model()).fit(1)


@mistake('gradient', 'loss', 'detach|argmax')
def loss_without_gradient():
    learner(loss_func=lambda p, y: (p.argmax(1) != y).float().mean()).fit(1)


@mistake('no loss', 'loss', r'loss_func=')
def no_loss():
    data = bunch()
    data.loss_func = None
    learner(data).fit(1)


# --- data
def label_nothing(o):
    if o > 1000:
        return 'large'


@mistake('None', 'label_nothing', 'return')
def label_function_returns_none():
    ItemList([*range(N)]).no_split().label_from_func(label_nothing)


def label_some(o):
    return 'even' if o % 2 == 0 else None


@mistake('None', 'label_some', 'return')
def label_function_returns_none_for_some():
    ItemList([*range(N)]).no_split().label_from_func(label_some)


@mistake('ItemList', 'split', r'no_split|split_by')
def databunch_before_split():
    ItemList([*range(N)]).databunch()


@mistake('ItemLists', 'label', r'label_from')
def databunch_before_labels():
    ItemList([*range(N)]).no_split().databunch()


@mistake('LabelList', 'split', r'no_split|split_by')
def databunch_of_labels_without_split():
    ItemList([*range(N)]).label_from_func(lambda o: o % 3).databunch()


@mistake('TensorList', 'split', r'no_split|split_by')
def transform_before_split():
    TensorList(pictures()).transform(([], []))


@mistake('ItemLists', 'label', r'label_from')
def transform_before_labels():
    TensorList(pictures()).no_split().transform(([], []))


@mistake('LabelLists', 'databunch', r'databunch\(\)')
def normalize_before_databunch():
    ItemList([*range(N)]).no_split().label_from_func(lambda o: o % 3).normalize()


@mistake('no.such|nosuch', 'folder', 'path|exist')
def folder_that_is_not_there():
    ImageList.from_folder(Path('no-such-folder'))


@mistake("'8'", 'whole number', '1 or more')
def bs_as_text():
    bunch(bs='8')


@mistake('100', '32', 'bs=')
def bs_larger_than_data():
    bunch(bs=100)


@mistake('y is no tensor', 'numbers', r'words\.index')
def words_as_labels():
    bunch(y=['cat', 'dog'] * 16)


@mistake('30', '32', 'as many|one label per')
def fewer_labels_than_items():
    bunch(y=classes()[:30])


@mistake('TensorDataset|1', 'label', r'pair')
def data_without_labels():
    ds = TensorDataset(pictures())
    learner(DataBunch(DataLoader(ds, 8), None), loss_func=nn.CrossEntropyLoss()).fit(1)


# --- after training
@mistake('no items', 'validate', 'split', warns=True)
def validate_without_items():
    learner(bunch(valid=False)).validate()


@mistake('valid', 'metrics', 'split', warns=True)
def metrics_without_validation():
    learner(bunch(valid=False), metrics=accuracy).fit(1)


@mistake('valid', 'no', 'split')
def predictions_without_validation():
    learner(bunch(valid=False)).get_preds()


@mistake('valid', 'no', 'split')
def predictions_of_empty_validation():
    data = TensorList(pictures()).no_split().label_from_lists([*classes().tolist()], []).databunch(bs=8)
    learner(data).get_preds()


@mistake('valid', 'no', 'split')
def results_of_empty_validation():
    data = TensorList(pictures()).no_split().label_from_lists([*classes().tolist()], []).databunch(bs=8)
    learner(data).show_results()


@mistake('None', 'item', 'predict')
def predict_none():
    learner().predict(None)


@mistake('255', '0 to 1|up to', '/ ?255', warns=True)
def predict_bytes_as_floats():
    learner().predict(pictures()[0] * 255)


@mistake('three.png', 'tensors', 'Open the file')
def predict_a_file():
    learner().predict('three.png')


@mistake('uint8', 'float32', r'\.float\(\)')
def predict_bytes():
    learner().predict((pictures()[0] * 255).byte())


@mistake(r'3 channels', 'Conv2d.*1', r'1 channel|Conv2d')
def predict_another_shape():
    learner(model=conv()).predict(pictures(3)[0])


@mistake(r'\(8, 1, 8, 8\)', 'one item', r'get_preds|x\[0\]|one at a time')
def predict_a_batch():
    learner(model=conv()).predict(pictures()[:8])


@mistake('recorded|no losses', 'lr_find', r'lr_find\(\)')
def plot_before_lr_find():
    learner().recorder.plot()


@mistake('recorded|no losses', 'fit', r'fit')
def plot_losses_before_fit():
    learner().recorder.plot_losses()


@mistake('fit', 'lr_find', r'lr_find\(\)', warns=True)
def plot_after_fit():
    learn = learner()
    learn.fit(1)
    learn.recorder.plot()


@mistake('no-such', 'models', 'save|exist|there')
def load_what_is_not_there():
    learner().load('no-such')


@mistake("'valid'", 'batches', r'learn\.data\.valid_dl')
def validate_a_text():
    learner().validate('valid')


@mistake("'decoder'", 'modules of the model', r'model\[2\]')
def split_on_a_text():
    learner().split('decoder')


@mistake("'1'", 'from -1 to 0', 'a number')
def freeze_to_a_text():
    learner().freeze_to('1')


@mistake('one layer group', 'split', r'learn\.split')
def freeze_without_groups():
    learner().freeze()


@mistake('-1', '0', 'from|or more')
def tta_below_zero():
    learner().TTA(n=-1)


def outcome(m: Mistake) -> tuple[str, str]:
    "Kind and message of what happens: 'silence', the class of a warning, or the class of an exception."
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            m.run()
        except Exception as e:
            return type(e).__name__, str(e)
    told = [o for o in caught if issubclass(o.category, UserWarning)]
    return (told[-1].category.__name__, str(told[-1].message)) if told else ('silence', '')


@pytest.mark.parametrize('m', MISTAKES, ids=lambda m: m.name)
def test_mistake(m, tmp_path, monkeypatch):
    "The message names what was given, what was expected, and what to do."
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)  # which items are in the first batch
    kind, message = outcome(m)
    assert kind.endswith('Warning') == m.warns, (kind, message)
    for part in (m.given, m.expected, m.advice):
        assert re.search(part, message, re.IGNORECASE), f'{m.name}: {part!r} is not in: {kind}: {message}'


if __name__ == '__main__':
    for m in MISTAKES:
        kind, message = outcome(m)
        print(f'{m.name}\t{kind}\t{" ".join(message.split())[:300]}')
