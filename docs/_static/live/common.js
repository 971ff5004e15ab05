// What several cells need: questions to the worker, a slider, the maps of a network. The parts that the cells share with the page of
// `lesson7_demo` are in parts.js, which docs/live.py makes of lesson7_lib/apps/live_parts.js.

import { canvas, make, paintGrey } from './parts.js';

export const here = new URL('.', import.meta.url);

// ---- the worker, which the first question starts

let worker, asked = 0;
const waiting = new Map();  // id of a question -> {resolve, reject, progress, part}

export function ask(question, { progress, part } = {}) {
  if (!worker) {
    worker = new Worker(new URL('worker.js', here), { type: 'module' });
    worker.onmessage = ({ data: o }) => {
      const q = waiting.get(o.id);
      if (o.progress) q?.progress?.(o.progress);
      if (o.part) q?.part?.(o.part);
      if ('answer' in o || 'error' in o) waiting.delete(o.id);
      if ('answer' in o) q?.resolve(o.answer);
      if ('error' in o) q?.reject(new Error(o.error));
    };
    worker.onerror = e => {
      for (const q of waiting.values()) q.reject(new Error(`this browser could not start the runtime (${e.message ?? 'no reason given'})`));
      waiting.clear();
      worker = undefined;
    };
  }
  const id = ++asked;
  const answer = new Promise((resolve, reject) => waiting.set(id, { resolve, reject, progress, part }));
  worker.postMessage({ id, ...question });
  const cancel = () => {
    worker?.postMessage({ cancel: id });
    waiting.get(id)?.resolve(null);
    waiting.delete(id);
  };
  return Object.assign(answer, { cancel });
}

// ---- a slider that says its value

export function slider(label, { min, max, step = 1, value, show = String }, oninput) {
  const shown = make('span', { class: 'live-value', 'aria-hidden': 'true' });  // aria-valuetext says it
  const input = make('input', { type: 'range', min: `${min}`, max: `${max}`, step: `${step}`, value: `${value}`, 'aria-label': label });
  const tell = () => {
    shown.textContent = show(+input.value);
    input.setAttribute('aria-valuetext', shown.textContent);
  };
  input.addEventListener('input', () => {
    tell();
    oninput?.(+input.value);
  });
  tell();
  return Object.assign(make('label', { class: 'live-slider' }, make('span', { 'aria-hidden': 'true' }, label), input, shown), { input });
}

// ---- maps

// The maps of a network's blocks as small grey pictures, each from its darkest to its brightest number.
export function showMaps(box, outputs, most = 32) {
  box.replaceChildren(...outputs.filter(o => o.dims.length === 4 && o.dims[3] > 3).map(({ dims: [, n, h, w], data }, i) => {
    const label = `Block ${i + 1}: ${n > most ? `${most} of ` : ''}${n} maps, ${h}×${w}`;
    const all = make('div', { class: 'live-map-row', role: 'img', 'aria-label': label });
    for (let k = 0; k < Math.min(n, most); k++) {
      const one = data.slice(k * h * w, (k + 1) * h * w), c = canvas(w, h);
      paintGrey(c, one, one.reduce((a, b) => Math.min(a, b)), one.reduce((a, b) => Math.max(a, b)));
      all.append(c);
    }
    return make('figure', {}, make('figcaption', {}, label), all);
  }));
}
