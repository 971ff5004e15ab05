// Live cells: the lessons' networks in the reader's browser. A page has the frames (docs/live.py writes them); this module fills them,
// each with the program of its kind. Each section keeps what went in and what came out in its `last`: for the curious, and for the test.

import { countCell, digitCell, make, statusLine } from './parts.js';
import { ask, showMaps } from './common.js';

function digits(section, box, model, status) {
  const maps = make('div', { class: 'live-maps' });
  digitCell(section, box, status, async pixels => {
    const [scores, ...more] = await ask({ what: 'run', model, pixels, shape: [1, 28, 28] }, status);
    showMaps(maps, more);
    return scores.data;
  }, () => maps.replaceChildren());
  box.append(maps);
}

function count(section, box, model, status, card) {
  countCell(section, box, status, card, (tokens, fresh) => ask({ what: 'read', model, tokens, fresh }, status));
}

const other = { streets: 'streets', photo: 'photo', nietzsche: 'write', cifar10: 'classify' };

async function fill(section) {
  const box = make('div', { class: 'live-body' }), status = statusLine(), name = section.dataset.cell;
  const card = JSON.parse(section.querySelector('script[type="application/json"]').textContent);
  const cell = { digits, count }[name] ?? (await import(`./${other[name]}.js`)).default;
  section.querySelector('noscript').replaceWith(box);
  cell(section, box, name, status, card);
  section.classList.add('ready');
}

document.querySelectorAll('.live[data-cell]').forEach(fill);
