#!/usr/bin/env python3
"""Tune LightGBM on the tables of lesson 11, with the split of its experiments, and write the scores beside theirs.

    pip install lightgbm
    LESSON7_MIRROR=… python benchmarks/trees.py adult bikes --minutes 3

A random search within a budget of processor time; each trial stops early by the error of the validation rows, and the
best by that error is fitted again with three seeds. The test rows are looked at once, at the end."""

import argparse
import time

import numpy as np

from lesson7_lib.core.columns import class_numbers, find_classes
from lesson7_lib.core.download import URLs
from lesson7_lib.core.results import save_result
from lesson7_lib.data import untar_data
from lesson7_lib.synth.tables import read_adult
from lesson7_lib.tabular import adult_data, bike_data, bike_tables, rmse, rmspe

try:
    import lightgbm as lgb
except ImportError:
    raise SystemExit('This script needs LightGBM: pip install lightgbm') from None


def inputs(x_list, table, learned):
    "The columns of the experiment as LightGBM wants them: numbers as they are, classes as numbers, NaN where missing"
    columns = [np.asarray(table[o], dtype=np.float64) for o in x_list.cont_names]
    for o in x_list.cat_names:
        numbers = class_numbers(table[o], learned[o]).astype(np.float64)
        columns.append(np.where(numbers == 0, np.nan, numbers))
    return np.stack(columns, 1)


def parts(data, test, target):
    "Inputs and targets of training, validation and test"
    x_list = data.train_ds.x
    learned = {o: find_classes(x_list.table[o][x_list.items]) for o in x_list.cat_names}
    classes = data.classes
    res = []
    for table in (*({k: v[o.items] for k, v in x_list.table.items()} for o in (data.train_ds, data.valid_ds)), test):
        y = table[target]
        y = class_numbers(y, classes).astype(int) - 1 if classes else y.astype(np.float64)
        res.append((inputs(x_list, table, learned), y))
    return res, list(range(len(x_list.cont_names), len(x_list.cont_names) + len(x_list.cat_names)))


def draw(rng, objective):
    "Settings of one trial"
    return dict(
        objective=objective,
        learning_rate=float(np.exp(rng.uniform(np.log(0.02), np.log(0.15)))),
        num_leaves=int(np.exp(rng.uniform(np.log(8), np.log(64)))),
        min_data_in_leaf=int(np.exp(rng.uniform(np.log(5), np.log(60)))),
        feature_fraction=float(rng.uniform(0.3, 1)),
        bagging_fraction=float(rng.uniform(0.6, 1)),
        bagging_freq=1,
        lambda_l2=float(np.exp(rng.uniform(np.log(0.01), np.log(30)))),
        cat_smooth=float(np.exp(rng.uniform(np.log(1), np.log(50)))),
        verbose=-1,
    )


def fit(settings, train, valid, cats, seed, threads):
    "A function that predicts, and its error on the validation rows: log loss, or mean squared error"
    log = settings['objective'] == 'log'  # squared error of logarithms
    settings = dict(settings, seed=seed, num_threads=threads, objective='regression' if log else settings['objective'])
    data, held_out = [
        lgb.Dataset(x, np.log(y) if log else y, categorical_feature=cats, free_raw_data=False)
        for x, y in (train, valid)
    ]
    held_out.set_reference(data)
    model = lgb.train(settings, data, 3000, valid_sets=[held_out], callbacks=[lgb.early_stopping(50, verbose=False)])

    def predict(x):
        return np.exp(model.predict(x)) if log else model.predict(x)

    if settings['objective'] == 'binary':
        return predict, model.best_score['valid_0']['binary_logloss']
    return predict, float(np.mean((predict(valid[0]) - valid[1]) ** 2))


def search(objectives, train, valid, cats, minutes, threads):
    "The best settings within the budget"
    rng, begun, best, n = np.random.default_rng(0), time.process_time(), None, 0
    while n < 3 or time.process_time() - begun < 60 * minutes:
        settings = draw(rng, objectives[n % len(objectives)])
        _, error = fit(settings, train, valid, cats, 0, threads)
        if best is None or error < best[0]:
            best = error, settings
        n += 1
    return best[1], n, time.process_time() - begun


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('tables', nargs='+', choices=('adult', 'bikes'))
    p.add_argument('--minutes', type=float, default=3, help='of processor time for the search')
    p.add_argument('--threads', type=int, default=1)
    p.add_argument('--out', help='folder for the results')
    a = p.parse_args()
    for name in a.tables:
        is_adult = name == 'adult'
        path = untar_data(URLs.ADULT if is_adult else URLs.BIKE_SHARING)
        if is_adult:
            data, test, target = adult_data(path), read_adult(path)[1], 'income'
        else:
            data, test, target = bike_data(path, log=False), bike_tables(path)[1], 'cnt'
        (train, valid, (x, y)), cats = parts(data, test, target)
        objectives = ['binary'] if is_adult else ['regression', 'poisson', 'log']
        settings, trials, searched = search(objectives, train, valid, cats, a.minutes, a.threads)
        for seed in (42, 43, 44):
            begun = time.process_time()
            predict, error = fit(settings, train, valid, cats, seed, a.threads)
            seconds = time.process_time() - begun
            pred = predict(x)
            scores = (
                dict(value=float(((pred > 0.5) == y).mean()))
                if is_adult
                else dict(value=rmse(pred, y), rmspe=rmspe(pred, y))
            )
            saved = save_result(
                '11',
                'accuracy' if is_adult else 'RMSE',
                scores.pop('value'),
                f'{name}-lightgbm',
                seed=seed,
                data='adult' if is_adult else 'bike_sharing',
                synthetic=False,
                seconds=seconds,
                cpu_seconds=seconds,
                threads=a.threads,
                trials=trials,
                search_seconds=searched,
                settings=settings,
                lightgbm=lgb.__version__,
                validation=error,
                command=f'python benchmarks/trees.py {name} --minutes {a.minutes:g}',
                folder=a.out,
                **scores,
            )
            print(saved.name, scores, f'{trials} trials')


if __name__ == '__main__':
    main()
